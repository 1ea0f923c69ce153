"""Trainings in processes of their own: several that share the steps of one, and one that is killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import TrainingError
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.support.training import STEPS, task
from twin_resources.runtime import jobs, torchrun
from twin_resources.runtime.jobs import JobHost

TRAINING = "twin_assets_tests.support.training"
ROOT = Path(__file__).resolve().parents[3]

Run = Callable[..., int]


@pytest.fixture
def base(tiny_models: Callable[[str], TinyModels]) -> Path:
    return tiny_models("llama").base


@pytest.fixture(scope="module")
def host() -> Iterator[JobHost]:
    made = JobHost()
    yield made
    made.close()


@pytest.fixture
def run(base: Path, tmp_path: Path, host: JobHost) -> Run:
    """Trains in a process, or several, from the checkpoints of the same ``name``, and the same processes ``then``
    another one with nothing set; returns the exit code."""

    def started(name: str, processes: int = 1, killed_at: int = -1, then: str | None = None, **settings: Any) -> int:
        trainings: dict[str, Any] = {str(tmp_path / name): {"processes": processes, **settings}}
        if then:
            trainings[str(tmp_path / then)] = {}
        for each in trainings:
            Path(each).mkdir(exist_ok=True)
        told = {"BASE": str(base), "TRAININGS": json.dumps(trainings)}
        environment = {**os.environ, **told, "PYTHONPATH": str(ROOT), "KILLED_AT": str(killed_at)}
        if processes == 1 and jobs.can_fork():
            return host.start(TRAINING, environment).wait(240)
        return subprocess.run(
            torchrun.command(sys.executable, TRAINING, processes), env=environment, timeout=240, check=False
        ).returncode

    return started


def trained(tmp_path: Path, name: str) -> dict[str, Any]:
    return json.loads((tmp_path / name / "trained.json").read_text("utf-8"))


def saved(tmp_path: Path, name: str) -> dict[str, tuple[int, ...]]:
    """What a training saved as its adapter: names and shapes."""
    from safetensors.numpy import load_file

    found = load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
    return {key: each.shape for key, each in found.items()}


def losses(told: dict[str, Any]) -> list[float]:
    return [entry["loss"] for entry in told["history"] if "loss" in entry]


def test_two_processes_learn_what_one_does_also_where_they_share_the_base_and_are_killed(
    run: Run, tmp_path: Path
) -> None:
    sharded = {"shard": True, "batch_size": 1, "gradient_accumulation": 4, "gradient_checkpointing": True}
    assert run("one") == 0
    assert run("sharded", 2, killed_at=5, **sharded) != 0
    assert not (tmp_path / "sharded" / "trained.json").exists()
    shutil.copytree(tmp_path / "sharded", tmp_path / "whole")
    assert run("sharded", 2, then="whole", **sharded) == 0
    one = trained(tmp_path, "one")
    for name, batch, told in (("sharded", 1, "2 processes that share the base"), ("whole", 2, "2 processes")):
        two = trained(tmp_path, name)
        assert (two["resumed"], two["steps"], two["batch_size"]) == (True, STEPS, batch)
        assert any(line.endswith(f"in float32, {told}") for line in two["lines"])
        assert losses(two) == pytest.approx(losses(one), rel=1e-4)
        assert two["validated"] == pytest.approx(one["validated"], rel=1e-4)
        assert saved(tmp_path, name) == saved(tmp_path, "one")
        assert any(line.startswith("it writes: ") for line in two["lines"]) == (name == "whole")
        assert any(line.startswith("no texts on the way") for line in two["lines"]) == (name == "sharded")
    for rank in range(2):
        held = json.loads((tmp_path / "sharded" / f"held-{rank}.json").read_text("utf-8"))
        base = {name: each for name, each in held.items() if "lora_" not in name}
        assert base
        whole = {name.rpartition("model.")[2] for name, (here, total) in base.items() if here != total / 2}
        assert whole <= {"norm.weight", "lm_head.weight"}, "only what comes last is kept together for the way back"


def test_one_that_is_killed_at_five_steps_comes_to_the_same_loss(run: Run, tmp_path: Path) -> None:
    assert run("undisturbed", checkpoint_every=1) == 0
    for step in sorted(random.Random(3).sample(range(2, STEPS + 1), 5)):
        assert run("killed", killed_at=step, checkpoint_every=1) == -signal.SIGKILL
    assert run("killed", checkpoint_every=1) == 0
    undisturbed, killed = trained(tmp_path, "undisturbed"), trained(tmp_path, "killed")
    assert killed["resumed"]
    assert losses(killed) == pytest.approx(losses(undisturbed), abs=1e-6)
    assert killed["validated"] == pytest.approx(undisturbed["validated"], abs=1e-6)


def test_a_step_is_shared_by_as_many_as_divide_it(base: Path, tmp_path: Path) -> None:
    whole = task(base, tmp_path, batch_size=6, gradient_accumulation=2)
    for size, batch, times in ((1, 6, 2), (2, 6, 1), (3, 4, 1), (4, 3, 1), (12, 1, 1)):
        share = Group(0, size).share_of(whole)
        assert (share.parameters.batch_size, share.parameters.gradient_accumulation) == (batch, times)
        assert share == replace(whole, parameters=share.parameters)
    with pytest.raises(TrainingError, match=r"12 samples, which 5 processes cannot share; set training\.processes"):
        Group(0, 5).share_of(whole)
