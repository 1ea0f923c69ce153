"""The calls, one file a subject; each lists its operations at the end."""
