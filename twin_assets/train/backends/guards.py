"""What ends a training that should not go on: a loss that says so, a signal, or no progress."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from statistics import median

from twin_resources.errors import TwinError

DIVERGED = 1.5
"""A loss so many times that of the untrained base ends a training."""
_WINDOW = 8
STALLED_CODE = 75
"""The exit code of a training that made no progress: try it again."""


class TrainingError(TwinError):
    """A training ended without an adapter; says at which step, why, and what to change."""


class Interrupted(TrainingError):
    """A training was asked to end; its last step is kept as a checkpoint."""


class LossGuard:
    """Watches the losses of one training."""

    def __init__(self) -> None:
        self._base: float | None = None
        self._last: deque[float] = deque(maxlen=_WINDOW)

    def see(self, step: int, name: str, value: float) -> None:
        """Look at one value.

        Args:
            name: ``loss``, ``eval_loss`` (the first one is the base's) or ``grad_norm``.

        Raises:
            TrainingError: the value is no finite number, or the training loss stays well above the base's.
        """
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is {value} at step {step}, so nothing could be learned from there on",
                "lower training.learning_rate, or set models.dtype to float32, in twin.yaml",
            )
        if name == "eval_loss" and self._base is None:
            self._base = value
        if name == "loss":
            self._last.append(value)
            lately = median(self._last)
            if self._base is not None and len(self._last) == _WINDOW and lately > DIVERGED * self._base:
                raise TrainingError(
                    f"the loss rose to {lately:.3f} until step {step}, and the base starts at {self._base:.3f}",
                    "lower training.learning_rate in twin.yaml",
                )


class Signals:
    """Notes that this process was asked to end, so that a step can be finished and kept first."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._asked.is_set()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Meanwhile SIGTERM and SIGINT are noted instead of ending the process; in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGTERM, signal.SIGINT)
        before = {each: signal.signal(each, lambda *_: self._asked.set()) for each in wanted}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class Heartbeat:
    """Ends the process when nothing was done for a while, and says where it stood.

    Args:
        seconds: without a beat, after which it ends; None never.
        end: called with what to tell a person; by default the process exits with :data:`STALLED_CODE`.
    """

    def __init__(self, seconds: float | None, end: Callable[[str], None] | None = None) -> None:
        self._seconds = seconds
        self._end = end or _exit
        self._last = time.monotonic()
        self._step = 0
        self._over = threading.Event()

    def beat(self, step: int) -> None:
        """Something was done."""
        self._last, self._step = time.monotonic(), step

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Meanwhile beats are expected."""
        if self._seconds is None:
            yield
            return
        self._last = time.monotonic()
        thread = threading.Thread(target=self._watch, args=(self._seconds,), daemon=True, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self, seconds: float) -> None:
        while not self._over.wait(min(1.0, seconds / 4)):
            if time.monotonic() - self._last > seconds:
                self._end(
                    f"no progress for {seconds / 60:.3g} minutes after step {self._step}; the training was ended. "
                    "Its checkpoints are kept: run it again, or raise training.stalled_minutes in twin.yaml"
                )
                return


def _exit(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
    faulthandler.dump_traceback()
    os._exit(STALLED_CODE)
