"""The calls, one file a subject; each lists its operations at the end. Those that ask the twin are in ``asking``."""
