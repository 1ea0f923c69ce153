"""Trainings that would not fit are made smaller or refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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


def _needed(task: TrainingTask, batch: int, shards: int = 1, shape: Shape | None = None) -> float:
    parameters = task.parameters.model_copy(update={"batch_size": batch})
    return estimate(shape or Shape.of(task.base), parameters, dtype=task.dtype, tokens=400, shards=shards).total


def test_what_fits_is_left_as_it_is(task: TrainingTask) -> None:
    said: list[str] = []
    whole = replace(task, parameters=task.parameters.model_copy(update={"shard": False}))
    assert fitted(task, Memory("CPU", _needed(task, 8)), said.append) == whole
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


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Shape:
    """The shape of a base of 7B."""
    from transformers import LlamaConfig

    shape = Shape.of_config(LlamaConfig(intermediate_size=14_336, num_key_value_heads=8))
    monkeypatch.setattr(Shape, "of", classmethod(lambda cls, base: shape))
    return shape


def test_a_base_that_no_device_holds_is_shared(task: TrainingTask, large: Shape) -> None:
    task = replace(task, dtype="bfloat16")
    there = Memory("a GPU", (_needed(task, 1, 2, large) + _needed(task, 1, 1, large)) / 2)
    said: list[str] = []
    found = fitted(task, there, said.append, processes=2)
    assert found.shards(2) == 2
    assert found.step_size == task.step_size
    assert "a device does not hold the base; sharing it among 2 processes" in said
    roomy = Memory("a GPU", _needed(task, 1, 1, large))
    assert fitted(task, roomy, print, processes=2).shards(2) == 1, "smaller batches come first"
    always = replace(task, parameters=task.parameters.model_copy(update={"shard": True}))
    assert fitted(always, roomy, print, processes=2).shards(2) == 2
    with pytest.raises(DoesNotFit, match=r"or training\.processes: 2, so that 2 GPUs like this share the base \(\d"):
        fitted(task, there, print)
    never = replace(task, parameters=task.parameters.model_copy(update={"shard": False}))
    with pytest.raises(DoesNotFit, match=r"or training\.shard: true, so that 2 GPUs"):
        fitted(never, there, print, processes=2)
    with pytest.raises(DoesNotFit) as told:
        fitted(task, replace(there, device="CPU"), print)
    assert "share" not in told.value.remedy, "processes of a CPU share its memory"
