"""Processes that end together. Only the standard library is imported here: a guard has to stay small."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def watch_parent() -> Callable[[], bool]:
    """Returns how to ask whether the process that started this one is gone, even if it was killed."""
    parent = os.getppid()
    return lambda: os.getppid() != parent


def end_with(parent: int) -> None:
    """Make this process end when that one does, its parent, even if that is killed, or gone by now."""
    _set(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def end_with_parent() -> None:
    """:func:`end_with` of the process that is the parent now: no job outlives its run."""
    end_with(os.getppid())


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ended; on Linux."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)


def _set(option: int, value: int) -> None:
    """Change an attribute of this process, where the system is Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
