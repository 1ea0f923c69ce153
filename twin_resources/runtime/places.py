"""Places for work that blocks: how much of a kind runs at once, each in a thread, and how much may wait.

More threads than a machine has cores for make every search slower and none sooner; a line without an end makes every
reader wait until all have given up. So both have an end, and who finds the line full is told at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import anyio.lowlevel
import anyio.to_thread

from twin_resources.errors import TwinError

SEARCHES = 4
"""Questions that are searched for at once. One thread after the other holds the interpreter: more of them answer no
sooner, and keep the event loop, which refuses who finds no place, from its turn."""
RECORDS = 4
"""Answers that may be stored at once. More threads would each ask for a connection and slow down those that read."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Busy(TwinError):
    """As many questions wait as may wait; try again in ``retry_after`` seconds."""

    def __init__(self, waiting: int, retry_after: int = 1) -> None:
        super().__init__(f"{waiting} questions are waiting already; try again shortly")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Places:
    """The places of one kind, for each event loop.

    Args:
        running: how much runs at once.
        waiting: how much more may wait; None for any.
    """

    kind: str
    running: int
    waiting: int | None = None

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do ``work`` in a thread once there is a place for it.

        Raises:
            Busy: as many wait already as may.
        """
        line = self._line()
        if self.waiting is not None and line.inside >= self.running + self.waiting:
            raise Busy(self.waiting)
        line.inside += 1
        try:
            return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=line.places)
        finally:
            line.inside -= 1

    def _line(self) -> _Line:
        try:
            lines = _lines.get()
        except LookupError:
            lines = {}
            _lines.set(lines)
        if self.kind not in lines:
            lines[self.kind] = _Line(anyio.CapacityLimiter(self.running))
        return lines[self.kind]


@dataclass
class _Line:
    """The places of one event loop, and how much runs or waits there."""

    places: anyio.CapacityLimiter
    inside: int = 0


_lines: anyio.lowlevel.RunVar[dict[str, _Line]] = anyio.lowlevel.RunVar("_lines")
