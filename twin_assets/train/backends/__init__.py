"""Back ends of training: one file each, behind one protocol."""
