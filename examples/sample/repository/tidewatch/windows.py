"""When is there enough water, and for how long?

A boat needs its draught and a bit. The bit is for waves, for optimism about
the draught, and for whoever wrote the depth on the chart in 1954.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .curve import sample
from .readings import Reading

# Thirty centimetres. My father used fifty, but he had more to lose.
MARGIN = 0.3

STEP = timedelta(minutes=5)


@dataclass(frozen=True)
class Window:
    """A stretch of time with enough water in it, and the most there is over."""

    start: datetime
    end: datetime
    most_spare: float

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __str__(self) -> str:
        minutes = int(self.length.total_seconds() // 60)
        return (
            f"{self.start:%a %d %b %H:%M} to {self.end:%H:%M}"
            f" ({minutes // 60} h {minutes % 60:02d}), {self.most_spare:.2f} m to spare at best"
        ).upper()


def spare(height: float, depth: float, draught: float, margin: float = MARGIN) -> float:
    """Water under the keel beyond the margin. Below nought, stay where you are.

    `depth` is what the chart says is there at datum; it may be negative, for a
    bank that dries.
    """
    return depth + height - draught - margin


def find_windows(
    readings: Sequence[Reading],
    depth: float,
    draught: float,
    margin: float = MARGIN,
    step: timedelta = STEP,
) -> list[Window]:
    """Every stretch of the table in which this boat floats at this place."""
    if draught <= 0:
        raise ValueError("a boat with no draught does not need this program")
    if len(readings) < 2:
        return []

    windows: list[Window] = []
    open_since: datetime | None = None
    last_good: datetime | None = None
    most = 0.0

    def close() -> None:
        nonlocal open_since, last_good, most
        # A single good moment is not a window. You would still be casting off.
        if open_since is not None and last_good is not None and last_good > open_since:
            windows.append(Window(open_since, last_good, most))
        open_since, last_good, most = None, None, 0.0

    for when, height in sample(readings, readings[0].time, readings[-1].time, step):
        if last_good is not None and when - last_good > step:
            close()  # the table had a hole, and we don't sail across holes
        left = spare(height, depth, draught, margin)
        if left < 0:
            close()
            continue
        open_since = open_since or when
        last_good = when
        most = max(most, left)
    close()
    return windows


def next_window(windows: Sequence[Window], now: datetime) -> Window | None:
    """The window we are in, or the first one to come. None means: have tea."""
    for window in windows:
        if window.end >= now:
            return window
    return None
