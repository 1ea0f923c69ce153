"""Figures of language models, without torch."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def mean_loss(losses: Sequence[tuple[float, int]]) -> float:
    """Mean cross-entropy a token, from (summed loss, tokens) of each sample."""
    tokens = sum(count for _, count in losses)
    return sum(loss for loss, _ in losses) / tokens if tokens else 0.0


def gain_interval(
    before: Sequence[tuple[float, int]], after: Sequence[tuple[float, int]], *, rounds: int = 2000, seed: int = 7
) -> tuple[float, float]:
    """95% interval of the relative fall in loss, by paired bootstrap over samples (Efron 1979)."""
    if not before:
        return 0.0, 0.0
    generator = random.Random(seed)
    gains = []
    indices = range(len(before))
    for _ in range(rounds):
        drawn = generator.choices(indices, k=len(before))
        old = mean_loss([before[index] for index in drawn])
        gains.append(1 - mean_loss([after[index] for index in drawn]) / old if old else 0.0)
    gains.sort()
    return round(gains[int(0.025 * rounds)], 4), round(gains[int(0.975 * rounds) - 1], 4)


def perplexity(loss: float) -> float:
    """e to the mean loss a token."""
    return round(math.exp(min(loss, 50)), 3)
