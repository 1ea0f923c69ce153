"""Blind tests: readers say which of two texts is the author's, and what their answers show at any time."""
