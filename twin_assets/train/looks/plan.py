"""At which of a training's evaluations it is looked at, so that looks take a bounded share of its work.

The share is counted in tokens and not by the clock, so that the same training is looked at at the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twin_assets.train.looks.reciting import SIDE_BY_SIDE

_READ = 0.25
"""A token that is only read, of the work of one that is learned from."""
_STEP, _ROW = {"cpu": 10.5, "cuda": 600.0}, {"cpu": 0.7, "cuda": 0.0}
"""Tokens that are learned from in the time in which a model writes one token of several texts side by side, and on top
for each text. A GPU waits for its launches there, however many they are; see docs/results.md."""


@dataclass(frozen=True)
class Cost:
    """The work of one look, in tokens that could be learned from meanwhile."""

    read: int
    texts: int
    steps: int

    def on(self, device: str) -> float:
        """On a ``cpu`` or a ``cuda`` device."""
        kind = "cpu" if device == "cpu" else "cuda"
        turns = math.ceil(self.texts / SIDE_BY_SIDE)
        return self.read * _READ + self.steps * (turns * _STEP[kind] + self.texts * _ROW[kind])


def evaluations(steps: int, every: int) -> list[int]:
    """The steps at which a training of so many is evaluated, without its start."""
    return sorted({*range(every, steps + 1, every), steps})


def spread(places: Sequence[int], count: int) -> tuple[int, ...]:
    """So many of the places, the last among them, evenly apart."""
    if count >= len(places):
        return tuple(places)
    return tuple(sorted({places[len(places) - 1 - place * len(places) // count] for place in range(count)}))


def affordable(cost: float, share: float, tokens: int) -> int:
    """How many looks of a cost a training of so many tokens has room for."""
    return math.floor(share * tokens / cost) if cost else 0
