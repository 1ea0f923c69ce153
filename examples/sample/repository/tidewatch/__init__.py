"""tidewatch: how much water is there, and is it enough?

Read a table, ask a question, get a number. Nothing here predicts anything.
"""

from .curve import height_at
from .readings import Reading, read_table
from .windows import Window, find_windows

__all__ = ["Reading", "Window", "find_windows", "height_at", "read_table"]
__version__ = "0.4.0"
