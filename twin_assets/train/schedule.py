"""In which order samples are learned from, and how many of them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

from twin_assets.train.preference import EncodedPair
from twin_resources.config.training import TrainingSettings
from twin_resources.models.causal import Encoded

Sized = TypeVar("Sized", Encoded, EncodedPair)

_BATCHES_TOGETHER = 8
"""Samples of so many batches are sorted by length before they are cut into batches."""
_MOST_WATCHED, _FEWEST_WATCHED = 24, 6
_WATCHED_TOKENS = 0.1
"""Of those trained on: a short training would spend more on looking at its loss than on lowering it."""


def within_budget(samples: list[Sized], parameters: TrainingSettings) -> list[Sized]:
    """Samples in training order, cut where the token budget is used up.

    Each epoch is shuffled; within runs of eight batches, samples of similar length share a batch, because
    padding costs as much as text.
    """
    order: list[Sized] = []
    spent = 0
    generator = random.Random(parameters.seed)
    for _ in range(parameters.epochs):
        for sample in generator.sample(samples, len(samples)):
            spent += len(sample.ids)
            if parameters.token_budget is not None and spent > parameters.token_budget and order:
                return _batched_by_length(order, parameters.batch_size, generator)
            order.append(sample)
    return _batched_by_length(order, parameters.batch_size, generator)


def _batched_by_length(order: list[Sized], batch_size: int, generator: random.Random) -> list[Sized]:
    window = batch_size * _BATCHES_TOGETHER
    batches: list[list[Sized]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda sample: len(sample.ids))
        batches += [near[first : first + batch_size] for first in range(0, len(near), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    rest = [sample for batch in batches if len(batch) < batch_size for sample in batch]
    generator.shuffle(whole)
    return [sample for batch in whole for sample in batch] + rest


def watched(validation: Sequence[Sized], train: Sequence[Sized], parameters: TrainingSettings) -> Sequence[Sized]:
    """The validation samples whose loss is watched: evenly apart, and few beside what is trained on.

    They follow from the samples and the token budget alone, so trainings that differ in anything else are comparable.
    """
    tokens = min(parameters.token_budget or math.inf, sum(len(sample.ids) for sample in train))
    mean = sum(len(sample.ids) for sample in validation) / max(1, len(validation))
    room = int(_WATCHED_TOKENS * tokens / max(1.0, mean))
    count = min(len(validation), _MOST_WATCHED, max(_FEWEST_WATCHED, room))
    return [validation[place * len(validation) // count] for place in range(count)]


def in_whole_steps(order: list[Sized], parameters: TrainingSettings) -> list[Sized]:
    """``order`` without the samples that would not fill an optimizer step; one step at least."""
    step_size = parameters.batch_size * parameters.gradient_accumulation
    return order[: max(step_size, len(order) - len(order) % step_size)]
