"""Trainings that would not fit are made smaller or refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.preflight import DoesNotFit, fitted
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.training import TrainingSettings
from twin_resources.models.causal import Encoded
from twin_resources.models.memory import GIB, Memory, Shape, estimate


@pytest.fixture
def task(tiny_models: Callable[[str], TinyModels], tmp_path: Path) -> TrainingTask:
    rows = [Encoded(tuple(range(3, 403)), 20)] * 16
    parameters = TrainingSettings(batch_size=8, gradient_accumulation=2)
    return TrainingTask(tiny_models("llama").base, "float32", rows, rows[:1], parameters, tmp_path, 0)


def _needed(task: TrainingTask, batch: int, **changes: object) -> float:
    parameters = task.parameters.model_copy(update={"batch_size": batch, **changes})
    return estimate(Shape.of(task.base), parameters, dtype=task.dtype, tokens=400).total


def test_what_fits_is_left_as_it_is(task: TrainingTask) -> None:
    said: list[str] = []
    assert fitted(task, Memory("CPU", _needed(task, 8)), said.append) == task
    assert len(said) == 1
    assert "GiB needed" in said[0]


def test_batches_shrink_until_they_fit_and_steps_stay_as_large(task: TrainingTask) -> None:
    said: list[str] = []
    smaller = fitted(task, Memory("CPU", _needed(task, 2)), said.append)
    assert (smaller.parameters.batch_size, smaller.step_size) == (2, task.step_size)
    assert "batches of 8 would not fit" in said[0]


def test_one_sample_too_many_is_refused_with_what_it_takes_and_what_would_fit(task: TrainingTask) -> None:
    laptop = estimate(Shape.of(task.base), TrainingSettings(preset="laptop"), dtype=task.dtype, tokens=400).total
    assert laptop < _needed(task, 1)
    with pytest.raises(
        DoesNotFit, match=r"takes \d.* GiB \(weights .*\), and .* GiB are there \(a small GPU\)"
    ) as told:
        fitted(task, Memory("a small GPU", (laptop + _needed(task, 1)) / 2), print)
    assert "laptop" in told.value.remedy
    with pytest.raises(DoesNotFit, match="no preset fits: choose a smaller base"):
        fitted(task, Memory("CPU", 0.1 * GIB), print)
