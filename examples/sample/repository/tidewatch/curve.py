"""The height of the water between two lines of the table.

A tide does not rise in a straight line. It begins slowly, hurries in the
middle and slows down again, like most people. There are two ways to draw that
here: the cosine, which is right, and the rule of twelfths, which you can do in
your head with one hand on the tiller.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from .readings import Reading

# One, two, three, three, two, one. I learnt it before the alphabet.
TWELFTHS = (1, 2, 3, 3, 2, 1)

# Two turns are about six hours apart. At nine a line has gone missing, and
# a curve drawn across a missing line is fiction.
LONGEST_GAP = timedelta(hours=9)


class NoWaterKnown(LookupError):
    """The table does not cover that moment. We don't guess past the last line."""


def neighbours(readings: Sequence[Reading], when: datetime) -> tuple[Reading, Reading]:
    """The turn before and the turn after. Raises when there is no such pair."""
    place = bisect_right([r.time for r in readings], when)
    if place == 0 or not readings:
        raise NoWaterKnown(f"{when:%d %b %H:%M} is before the first line")
    if place == len(readings):
        if readings[-1].time == when and len(readings) > 1:
            return readings[-2], readings[-1]
        raise NoWaterKnown(f"{when:%d %b %H:%M} is after the last line")
    before, after = readings[place - 1], readings[place]
    if after.time - before.time > LONGEST_GAP:
        raise NoWaterKnown(f"there is a hole in the table around {when:%d %b %H:%M}")
    return before, after


def share_of_time(before: Reading, after: Reading, when: datetime) -> float:
    """How far we are from one turn to the next, from 0 to 1."""
    return (when - before.time) / (after.time - before.time)


def cosine(share: float) -> float:
    """Share of time in, share of height out, by half a cosine."""
    return (1.0 - math.cos(math.pi * share)) / 2.0


def twelfths(share: float) -> float:
    """The same by the rule of twelfths: straight lines between seven points."""
    share = min(max(share, 0.0), 1.0)
    whole, rest = divmod(share * 6.0, 1.0)
    done = sum(TWELFTHS[: int(whole)])
    # At the very end there is no next sixth, and no water to add.
    coming = TWELFTHS[int(whole)] if whole < 6 else 0
    return (done + coming * rest) / 12.0


METHODS = {"cosine": cosine, "twelfths": twelfths}


def height_at(readings: Sequence[Reading], when: datetime, method: str = "cosine") -> float:
    """Metres above chart datum at that moment.

    Raises NoWaterKnown outside the table. I would sooner hear "I don't know"
    from a program than hear a keel say the same thing.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    before, after = neighbours(readings, when)
    rise = METHODS[method](share_of_time(before, after, when))
    return before.metres + (after.metres - before.metres) * rise


def sample(
    readings: Sequence[Reading], start: datetime, end: datetime, step: timedelta
) -> Iterator[tuple[datetime, float]]:
    """Heights at even steps, skipping any moment that the table doesn't cover."""
    if step <= timedelta(0):
        raise ValueError("a step must go forwards")
    when = start
    while when <= end:
        try:
            yield when, height_at(readings, when)
        except NoWaterKnown:
            pass  # a hole is a hole; the next step may be on solid paper again
        when += step
