"""In which order samples are learned from."""

from __future__ import annotations

from typing import Any

from twin_assets.train.schedule import within_budget
from twin_resources.config.settings import TrainingSettings
from twin_resources.models.causal import Encoded


def samples(*lengths: int) -> list[Encoded]:
    return [Encoded(tuple(range(length)), length // 2) for length in lengths]


def parameters(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"batch_size": 2, "token_budget": None, **changes})


def test_every_sample_is_seen_once_an_epoch_in_an_order_that_repeats() -> None:
    given = samples(*range(10, 50))
    order = within_budget(given, parameters(epochs=2))
    assert sorted(len(sample.ids) for sample in order) == sorted([*range(10, 50), *range(10, 50)])
    assert order == within_budget(given, parameters(epochs=2))
    assert order != within_budget(given, parameters(epochs=2, seed=7))


def test_the_token_budget_is_kept_and_batches_hold_similar_lengths() -> None:
    order = within_budget(samples(*([10] * 50 + [100] * 50)), parameters(token_budget=1500))
    assert 1300 < sum(len(sample.ids) for sample in order) <= 1500
    mixed = sum(len(order[i].ids) != len(order[i + 1].ids) for i in range(0, len(order) - 1, 2))
    assert mixed <= 3, "shuffled alone, about half of the batches would be mixed"
