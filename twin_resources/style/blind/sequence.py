"""What the answers of a blind test show, after each of them.

Answers come one by one and whoever asks may look after each, so an interval for a fixed number of answers would be
wrong far more often than it says. Here everything holds at all times together: the likelihood of the answers, mixed
over all shares with equal weight, against their likelihood under one share is a martingale that starts at 1 where that
share is the true one, and so exceeds 1/α ever with a probability of α at most (Ville 1939). The shares under which it
does not are a confidence sequence (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95
GUESSING = 0.5
"""The share that is right of a reader who cannot tell, because the side is drawn anew for each showing."""
FEWEST = 8
"""Answers, all of them right, from which on a reader certainly does not guess; on fewer, versions are not compared."""
_LARGEST = 700.0
"""The logarithm of an e-value above which it is cut off, because a float ends there."""
_NEAR_ZERO = 1e-12


def log_e_value(right: Any, answers: Any, share: float) -> Any:
    """The natural logarithm of how much the answers speak against ``share`` being the true one.

    Args:
        right, answers: numbers, or arrays of one shape.
        share: in (0, 1).
    """
    from scipy.special import betaln, xlog1py, xlogy

    wrong = np.subtract(answers, right)
    return betaln(np.add(right, 1), wrong + 1) - xlogy(right, share) - xlog1py(wrong, -share)


@dataclass(frozen=True)
class Standing:
    """How often readers found the author: ``right`` times out of ``answers``."""

    right: int
    answers: int

    @property
    def share(self) -> float | None:
        """The share of answers that are right; None without any."""
        return self.right / self.answers if self.answers else None

    @property
    def low(self) -> float:
        """The lower end of the confidence sequence for that share."""
        return _lower_end(self.right, self.answers)

    @property
    def high(self) -> float:
        """The upper end."""
        return 1.0 - _lower_end(self.answers - self.right, self.answers)

    @property
    def e_value(self) -> float:
        """How much the answers speak against guessing; whoever bets against it has that much for each 1 put in."""
        if not self.answers:
            return 1.0
        return math.exp(min(float(log_e_value(self.right, self.answers, GUESSING)), _LARGEST))

    @property
    def p_value(self) -> float:
        """At most how likely an e-value as large as this one ever comes up where readers guess."""
        return min(1.0, 1.0 / self.e_value)


@functools.lru_cache(maxsize=4096)
def _lower_end(right: int, answers: int) -> float:
    """The smallest share that the answers do not speak against."""
    if not right:
        return 0.0
    from scipy.optimize import brentq

    def against(share: float) -> float:
        return float(log_e_value(right, answers, share)) + math.log1p(-LEVEL)

    seen = right / answers
    inside = min(seen, 1 - _NEAR_ZERO)
    root: Any = brentq(against, seen * _NEAR_ZERO, inside, xtol=1e-12)
    return float(root)


def path(outcomes: Sequence[bool], most: int = 60) -> list[Standing]:
    """How it stood after ``most`` of the answers at most, evenly spread; the last is one of them.

    Args:
        outcomes: whether each answer was right, in their order.
    """
    if not outcomes:
        return []
    right = np.cumsum(outcomes)
    places = np.unique(np.linspace(1, len(outcomes), min(most, len(outcomes))).round().astype(int))
    return [Standing(int(right[place - 1]), int(place)) for place in places]
