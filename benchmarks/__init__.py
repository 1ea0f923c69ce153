"""Speed and memory, measured in one run so that figures can be compared: ``make bench``."""
