"""Writing answers; knows no HTTP."""
