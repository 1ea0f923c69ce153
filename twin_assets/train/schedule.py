"""In which order samples are learned from, and how many of them."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping, Sequence
from typing import TypeVar, overload

from twin_assets.train.preference import EncodedPair
from twin_resources.config.training import TrainingSettings
from twin_resources.models.causal import Encoded

Sized = TypeVar("Sized", Encoded, EncodedPair)

_BATCHES_TOGETHER = 8
"""Samples of so many batches are sorted by length before they are cut into batches."""
_MOST_WATCHED, _FEWEST_WATCHED = 24, 6
_WATCHED_TOKENS = 0.1
"""Of those trained on: a short training would spend more on looking at its loss than on lowering it."""


class Chosen(Sequence[Sized]):
    """Samples by their places among others, from where each is read when it is needed."""

    def __init__(self, samples: Sequence[Sized], places: Sequence[int]) -> None:
        self._samples, self._places = samples, places

    @property
    def places(self) -> Sequence[int]:
        """The places of the samples, in order."""
        return self._places

    @property
    def distinct(self) -> set[int]:
        """The places of the samples, each once."""
        return set(self._places)

    def replaced(self, places: Mapping[int, int]) -> Chosen[Sized]:
        """The same with other samples at some turns."""
        return Chosen(self._samples, [places.get(turn, place) for turn, place in enumerate(self._places)])

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Sized: ...

    @overload
    def __getitem__(self, place: slice) -> Chosen[Sized]: ...

    def __getitem__(self, place: int | slice) -> Sized | Chosen[Sized]:
        if isinstance(place, slice):
            return Chosen(self._samples, self._places[place])
        return self._samples[self._places[place]]


def within_budget(samples: Sequence[Sized], parameters: TrainingSettings) -> Chosen[Sized]:
    """Samples in training order, cut where the token budget is used up.

    Each epoch is shuffled; within runs of eight batches, samples of similar length share a batch, because
    padding costs as much as text.
    """
    lengths = array("I", (len(sample.ids) for sample in samples))
    order = array("I")
    spent = 0
    generator = random.Random(parameters.seed)
    for _ in range(parameters.epochs):
        for place in generator.sample(range(len(samples)), len(samples)):
            spent += lengths[place]
            if parameters.token_budget is not None and spent > parameters.token_budget and order:
                return Chosen(samples, _batched_by_length(order, lengths, parameters.batch_size, generator))
            order.append(place)
    return Chosen(samples, _batched_by_length(order, lengths, parameters.batch_size, generator))


def with_all(chosen: Chosen[Sized], wanted: Sequence[int]) -> Chosen[Sized]:
    """The same with the samples at ``wanted`` among them, evenly apart and instead of others, so that a training takes
    as many steps as without; as many of them as a quarter of all, at most."""
    there = chosen.distinct
    missing = [place for place in wanted if place not in there][: len(chosen) // 4]
    free = [turn for turn, place in enumerate(chosen.places) if place not in wanted]
    apart = len(free) // (len(missing) + 1)
    return chosen.replaced({free[number * apart]: place for number, place in enumerate(missing, 1)})


def _batched_by_length(
    order: Sequence[int], lengths: Sequence[int], batch_size: int, generator: random.Random
) -> Sequence[int]:
    window = batch_size * _BATCHES_TOGETHER
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda place: lengths[place])
        batches += [near[first : first + batch_size] for first in range(0, len(near), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    rest = [place for batch in batches if len(batch) < batch_size for place in batch]
    generator.shuffle(whole)
    return array("I", (*(place for batch in whole for place in batch), *rest))


def watched(validation: Sequence[Sized], train: Sequence[Sized], parameters: TrainingSettings) -> Sequence[Sized]:
    """The validation samples whose loss is watched: evenly apart, and few beside what is trained on.

    They follow from the samples and the token budget alone, so trainings that differ in anything else are comparable.
    """
    tokens = min(parameters.token_budget or math.inf, sum(len(sample.ids) for sample in train))
    mean = sum(len(sample.ids) for sample in validation) / max(1, len(validation))
    room = int(_WATCHED_TOKENS * tokens / max(1.0, mean))
    count = min(len(validation), _MOST_WATCHED, max(_FEWEST_WATCHED, room))
    return [validation[place * len(validation) // count] for place in range(count)]


def in_whole_steps(order: Chosen[Sized], parameters: TrainingSettings) -> Chosen[Sized]:
    """``order`` without the samples that would not fill an optimizer step; one step at least."""
    step_size = parameters.batch_size * parameters.gradient_accumulation
    return order[: max(step_size, len(order) - len(order) % step_size)]
