"""Places for work that blocks: how much of a kind runs at once, each in a thread, and how much may wait.

More threads than a machine has cores for make every search slower and none sooner; a line without an end makes every
reader wait until all have given up. So both have an end, and who is not let in is told at once, and when to come back.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

import anyio.lowlevel
import anyio.to_thread

from twin_resources.errors import TwinError

SEARCHES = 4
"""Questions that are searched for at once. One thread after the other holds the interpreter: more of them answer no
sooner, and keep the event loop, which refuses who finds no place, from its turn."""
RECORDS = 4
"""Answers that may be stored at once. More threads would each ask for a connection and slow down those that read."""
PATIENCE = 2.0
"""Where more is asked than can be answered, so many times as long as it takes alone may what is let in take."""
SURELY = 1.5
"""At so many times as long a line it is not only some who came at the same time."""

_ALONE = 32
_SURE = 8
_WEIGHT = 1 / 16

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")


class Busy(TwinError):
    """More is asked than can be answered; try again in ``retry_after`` seconds."""

    def __init__(self, waiting: int, retry_after: int = 1) -> None:
        super().__init__(f"{waiting} questions are answered or waiting already; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Entry:
    """When something was let in, and as which; ``alone`` where nothing else was inside."""

    at: float
    number: int
    alone: bool


@dataclass
class Admission:
    """Who is let in, by the wait that is to be expected.

    Up to ``room`` may be inside, so that some who come at the same time are all answered. Where more comes than is
    answered, that line would always be full, and everybody would wait for as long as it is. So a second line is kept,
    in which everybody counts, also who was refused (a virtual queue, Kunniyur and Srikant 2001). While it is longer
    than ``room``, only as many are let in as end within :data:`PATIENCE` times the time that one takes alone: by
    Little's law, those inside times the time between two ends. Who is refused may come back once the second line would
    have been worked off, and counts until then, so that nobody who does is counted twice. Those who were in line before
    are refused where they waited as long already, once the second line is :data:`SURELY` times ``room``.
    """

    room: int
    clock: Callable[[], float] = time.monotonic
    inside: int = 0
    _returns: deque[float] = field(init=False)
    """When each that was refused may come back, of as many as count at most."""
    _entries: int = 0
    _seconds_each: float = 0.0
    _seconds_alone: deque[float] = field(default_factory=lambda: deque(maxlen=_ALONE))
    _last: float = 0.0
    """When the last one ended, or came where nobody was."""

    def __post_init__(self) -> None:
        self._returns = deque(maxlen=2 * self.room)

    def enter(self) -> Entry:
        """Let one more in.

        Raises:
            Busy: it would wait too long.
        """
        now = self.clock()
        if not self.inside:
            self._last = now
        if self.inside >= self.room or (self._line(now) >= self.room and self.inside >= self._soon()):
            raise self._busy(now)
        entry = Entry(now, self._entries, not self.inside)
        self.inside += 1
        self._entries += 1
        return entry

    def begin(self, entry: Entry) -> None:
        """Note that the turn of one has come.

        Raises:
            Busy: it waited too long already, and more is asked than can be answered.
        """
        now = self.clock()
        if self._line(now) > SURELY * self.room and now - entry.at > (self._patience() or math.inf):
            raise self._busy(now)

    def leave(self, entry: Entry, *, well: bool) -> None:
        """Note that one ended, and whether well: what fails says nothing of the time it takes."""
        now = self.clock()
        between, self._last = now - self._last, now
        self.inside -= 1
        if not well:
            return
        self._seconds_each += (between - self._seconds_each) * (_WEIGHT if self._seconds_each else 1)
        if entry.alone and self._entries == entry.number + 1 and not (self._refuses(now) and self._patience()):
            self._seconds_alone.append(now - entry.at)

    def _refuses(self, now: float) -> bool:
        """Whether some were refused who are not to be back yet; what one takes beside refusals is not what it takes
        alone."""
        return self._line(now) > self.inside

    def _line(self, now: float) -> int:
        """Those inside, and those who were refused and are not to be back yet."""
        while self._returns and self._returns[0] <= now:
            self._returns.popleft()
        return self.inside + len(self._returns)

    def _busy(self, now: float) -> Busy:
        retry_after = max(1, math.ceil((self._line(now) + 1) * self._seconds_each))
        self._returns.append(now + retry_after)
        return Busy(self.inside, retry_after)

    def _soon(self) -> float:
        """How many may be inside and end in time; one until it is known how long that takes."""
        patience = self._patience()
        return max(1, patience // self._seconds_each) if patience and self._seconds_each else 1

    def _patience(self) -> float | None:
        """In how many seconds one ends in time; None until it is known how long one takes alone."""
        if len(self._seconds_alone) < _SURE:
            return None
        return PATIENCE * statistics.median(self._seconds_alone)


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

    async def run(self, work: Callable[[*_Ts], _T], *args: *_Ts, waits: Callable[[], None] | None = None) -> _T:
        """Do ``work`` in a thread once there is a place for it.

        Args:
            waits: called where there is none yet.

        Raises:
            Busy: it would wait too long.
        """
        line = self._line()
        if line.admission is None:
            return await anyio.to_thread.run_sync(work, *args, limiter=line.places)
        entry, well = line.admission.enter(), False
        try:
            if waits and not line.places.available_tokens:
                waits()
            done = await anyio.to_thread.run_sync(_begin, line.admission, entry, work, *args, limiter=line.places)
            well = True
            return done
        finally:
            line.admission.leave(entry, well=well)

    def _line(self) -> _Line:
        try:
            lines = _lines.get()
        except LookupError:
            lines = {}
            _lines.set(lines)
        if self.kind not in lines:
            admission = None if self.waiting is None else Admission(self.running + self.waiting)
            lines[self.kind] = _Line(anyio.CapacityLimiter(self.running), admission)
        return lines[self.kind]


def _begin(admission: Admission, entry: Entry, work: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    admission.begin(entry)
    return work(*args)


@dataclass(frozen=True)
class _Line:
    """The places of one event loop, and who is let in to wait for them."""

    places: anyio.CapacityLimiter
    admission: Admission | None


_lines: anyio.lowlevel.RunVar[dict[str, _Line]] = anyio.lowlevel.RunVar("_lines")
