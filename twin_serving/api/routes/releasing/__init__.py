"""Calls on adapter versions: which speaks, and whether readers tell one from the author."""
