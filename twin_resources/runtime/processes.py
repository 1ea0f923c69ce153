"""Processes that end together."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time


def end_with_parent() -> None:
    """Make this process end when its parent does, even if the parent is killed: no job outlives its run."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(143)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()
