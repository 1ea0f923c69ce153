"""A search for hyper-parameters: its space, its trials and what it found."""
