"""Whether readers fare worse on a canary than on the champion, looked at as often as one likes.

Who is on the canary was drawn: each conversation falls to it with the probability of its share ``s``, whatever is
asked. So where the canary is no worse than the champion, of the conversations in which something went wrong the canary
has a share of ``s``, or less, and each of them is a draw of its own. Where it has more than that, the canary is worse.
The likelihood of those draws, mixed over all shares, against that under ``s`` exceeds ``1/α`` at any time with a
probability of ``α`` at most (see :mod:`twin_resources.style.blind.sequence`), so a minute's looks cost nothing. Nothing
is assumed of how often anything goes wrong, of whether that changes by the hour, nor of the calls of one conversation,
which count once. A canary that keeps readers for longer gives them more chances to meet something wrong, and is judged
the more severely for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twin_resources.alerts.conditions import ENOUGH
from twin_resources.storage.calls.arms import Arm, Arms
from twin_resources.storage.releases import Canary
from twin_resources.style.blind.sequence import log_e_value

LEVEL = 0.95
"""How certain it is, over all figures together and over all time, that a canary which is no worse is not withdrawn."""
FEWEST = ENOUGH
"""Conversations on either side before which nothing is decided."""
FIGURES = {
    "failed": "a call failed",
    "silent": "an answer said that nothing was written",
    "unsupported": "less than half of an answer was supported",
    "down": "an answer was rated down",
}
"""What is looked at, and in words what it means for a conversation."""


@dataclass(frozen=True)
class Figure:
    """In how many conversations of either side one thing went wrong, and at most how likely that is, or anything
    like it ever comes up, where the canary is no worse."""

    name: str
    canary: int
    champion: int
    p_value: float


@dataclass(frozen=True)
class Standing:
    """How a canary stands beside the champion."""

    arms: Arms
    figures: Sequence[Figure]

    @classmethod
    def of(cls, canary: Canary, arms: Arms) -> Standing:
        """The standing that the counts of both sides make."""
        return cls(arms, [_figure(name, canary.share, arms.canary, arms.champion) for name in FIGURES])

    @property
    def counts(self) -> bool:
        """Whether there are conversations enough on both sides to decide anything."""
        return min(self.arms.canary.conversations, self.arms.champion.conversations) >= FEWEST

    @property
    def worse(self) -> Sequence[Figure]:
        """The figures in which the canary is certainly worse."""
        allowed = (1 - LEVEL) / len(FIGURES)
        return [each for each in self.figures if each.p_value <= allowed] if self.counts else []

    def told(self) -> str:
        """What it is worse in, in words; empty where it is not."""
        mine, theirs = self.arms.canary.conversations, self.arms.champion.conversations
        said = [
            f"{FIGURES[each.name]} in {each.canary} of {mine} conversations, on the champion in {each.champion} of "
            f"{theirs} (p ≤ {each.p_value:.2g})"
            for each in self.worse
        ]
        return "; ".join(said)


def _figure(name: str, share: float, canary: Arm, champion: Arm) -> Figure:
    mine, theirs = getattr(canary, name), getattr(champion, name)
    wrong = mine + theirs
    if not wrong or mine / wrong <= share:
        return Figure(name, mine, theirs, 1.0)
    return Figure(name, mine, theirs, min(1.0, math.exp(-float(log_e_value(mine, wrong, share)))))
