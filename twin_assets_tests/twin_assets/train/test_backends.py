"""Trainings that run out of memory, are asked to end, stand still or go wrong, on a model made on the spot."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin_assets.train.backends import loop
from twin_assets.train.backends.base import Trained
from twin_assets.train.backends.guards import Heartbeat, Interrupted, LossGuard, TrainingError
from twin_assets.train.backends.peft import PeftBackend
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.support.training import STEPS, Seen, task, validated
from twin_resources.models import causal

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
Train = Callable[..., Trained]


@pytest.fixture
def train(tiny_models: Callable[[str], TinyModels], tmp_path: Path) -> Train:
    """Trains eight steps of four samples, and goes on from the checkpoints of the same ``name``."""
    base = tiny_models("llama").base

    def run(name: str = "run", seen: Seen | None = None, **parameters: Any) -> Trained:
        return PeftBackend().train(task(base, tmp_path / name, **parameters), seen or Seen())

    return run


def test_one_that_is_asked_to_end_keeps_its_step_and_comes_to_the_same_loss(train: Train) -> None:
    before = signal.getsignal(signal.SIGTERM)
    undisturbed = train("undisturbed")
    for number in (2, 5):
        asked = Seen(at=number, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted, match=f"asked to end at step {number + 1} of {STEPS}"):
            train("asked", asked)
    resumed = train("asked")
    assert resumed.resumed
    assert validated(resumed) == pytest.approx(validated(undisturbed), abs=1e-6)
    assert signal.getsignal(signal.SIGTERM) == before, "a signal does again what it did"


def test_a_short_one_is_looked_at_before_midway_and_after(train: Train) -> None:
    assert [entry["step"] for entry in train().history if "eval_loss" in entry] == [0, STEPS // 2, STEPS]


def test_one_of_slow_steps_is_kept_by_time_and_loses_only_the_step_it_was_killed_in(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise ConnectionAbortedError("killed in the middle of a step")

    for seconds, resumes in ((3600.0, False), (0.0, True)):
        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
        with pytest.raises(ConnectionAbortedError):
            train(f"{seconds}", Seen(at=5, act=killed), checkpoint_every=100)
        seen = Seen()
        assert train(f"{seconds}", seen, checkpoint_every=100).resumed == resumes
        assert ("going on from checkpoint-4" in seen.lines) == resumes


def test_one_without_memory_takes_smaller_batches_and_learns_the_same(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train("whole")
    collate = causal.collate

    def little_memory(batch: Any, pad_id: int, **options: Any) -> dict[str, Any]:
        if len(batch) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return collate(batch, pad_id, **options)

    monkeypatch.setattr(causal, "collate", little_memory)
    seen = Seen()
    halved = train("halves", seen)
    assert halved.batch_size == 1
    assert halved.steps == STEPS
    assert [line for line in seen.lines if "out of memory" in line] == [
        "out of memory; trying again with 2 samples at a time, 2 times a step",
        "out of memory; trying again with 1 samples at a time, 4 times a step",
    ]
    assert validated(halved) == pytest.approx(validated(undisturbed), abs=1e-3)

    monkeypatch.setattr(causal, "collate", lambda *_, **__: _out_of_memory())
    with pytest.raises(TrainingError, match=r"one sample at a time .*can't allocate.*max_sample_tokens"):
        train("none")


def _out_of_memory() -> dict[str, Any]:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def test_any_other_error_is_not_taken_for_a_lack_of_memory(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal, "collate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train()


def test_a_loss_that_is_no_number_ends_it_at_that_step(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_loss, calls = causal.answer_loss, []

    def broken(model: Any, batch: Any) -> tuple[Any, Any]:
        loss, count = answer_loss(model, batch)
        calls.append(model.training)
        return (loss * float("nan") if sum(calls) == 3 else loss), count

    monkeypatch.setattr(causal, "answer_loss", broken)
    with pytest.raises(TrainingError, match=r"(loss|grad_norm) is nan at step 3.*learning_rate"):
        train()


def test_a_learning_rate_that_is_far_too_high_ends_it(train: Train) -> None:
    with pytest.raises(TrainingError, match=r"learning_rate"):
        train(learning_rate=1.0, batch_size=1)


def test_one_that_goes_on_is_held_against_the_bases_loss_and_not_against_its_own(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        train(seen=Seen(at=5, act=lambda: os.kill(os.getpid(), signal.SIGTERM)))
    seen: list[tuple[int, str]] = []
    see = LossGuard.see

    def watched(self: LossGuard, step: int, name: str, value: float) -> None:
        seen.append((step, name))
        see(self, step, name, value)

    monkeypatch.setattr(LossGuard, "see", watched)
    train()
    assert next(step for step, name in seen if name == "eval_loss") == 0


def test_a_loss_may_rise_a_little_and_for_a_moment() -> None:
    guard = LossGuard()
    guard.see(0, "eval_loss", 2.0)
    for step, value in enumerate([2.5, 2.9, 3.5, 2.2, 2.0, 9.0, 1.9, 1.8, 1.7, 1.9, 2.0, 2.1], 1):
        guard.see(step, "loss", value)
    for step in range(13, 16):
        guard.see(step, "loss", 5.0)
    with pytest.raises(TrainingError, match=r"rose to 3\.\d+ until step 16"):
        guard.see(16, "loss", 5.0)


def test_a_heart_that_stops_beating_ends_it_and_one_that_beats_does_not() -> None:
    ended: list[str] = []
    heart = Heartbeat(0.4, ended.append)
    with heart.watched():
        for step in range(8):
            heart.beat(step)
            time.sleep(0.1)
        assert not ended
        time.sleep(1.0)
    assert len(ended) == 1
    assert "after step 7" in ended[0]
    with Heartbeat(None, ended.append).watched():
        time.sleep(0.1)
    assert len(ended) == 1


def test_time_left_is_told(train: Train) -> None:
    seen = Seen()
    train(seen=seen)
    assert [line for line in seen.lines if line.startswith("step 5 of 8: loss") and " s left" in line]
