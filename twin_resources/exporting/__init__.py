"""Dataset versions for other programs: comparing them, and writing them out."""
