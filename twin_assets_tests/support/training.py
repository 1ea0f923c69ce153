"""A training of eight steps on a model made on the spot, also as a job that can be killed: ``BASE`` says of what,
``TRAININGS`` in which folders, one after another, and with which parameters, ``KILLED_AT`` at which step it kills
itself. What it learned is left in ``trained.json``, ``adapter`` and, of each process, ``held-<rank>.json``."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import Trained, TrainingTask
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.looks.asked import Looks, Question
from twin_assets.train.saved import check_saved
from twin_assets_tests.support.tiny_models import FIRST, SECOND
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal
from twin_resources.models.lora import save_adapter
from twin_resources.runtime.processes import end_with_parent

STEPS = 8


@dataclass
class Seen:
    """What a training told, and something to be done at one of its steps."""

    at: int = -1
    act: Callable[[], None] = lambda: None
    lines: list[str] = field(default_factory=list)

    def log(self, message: str) -> None:
        self.lines.append(message)

    def metric(self, name: str, value: float, step: int) -> None:
        if name == "loss" and step == self.at:
            self.act()


def task(base: Path, checkpoints: Path, **parameters: Any) -> TrainingTask:
    """Steps of four samples."""
    tokenizer = PeftBackend().tokenizer(base)
    chosen = {"batch_size": 4, "gradient_accumulation": 1, "learning_rate": 0.005, "checkpoint_every": 3}
    chosen |= {"sample_texts": {"share": 0.5, "tokens": 8}}
    texts = [f"{text} {number}" for number in range(STEPS * 2) for text in (FIRST, SECOND)]
    samples = [causal.encode(tokenizer, f"### Say {len(text)}\n", text, 96) for text in texts]
    rows = [sample for sample in samples if sample]
    return TrainingTask(
        base=base,
        dtype="float32",
        train=rows,
        validation=rows[:4],
        parameters=TrainingSettings(**{**chosen, **parameters}),
        checkpoints=checkpoints,
        pad_id=tokenizer.pad_token_id,
    )


def validated(trained: Trained) -> list[float]:
    """The losses on the validation samples: the base's, midway and at the end."""
    return [entry["eval_loss"] for entry in trained.history if "eval_loss" in entry]


def _held(parameter: Any) -> tuple[int, int]:
    """Numbers of a parameter that lie in this process, and how many it has."""
    local = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return local.numel(), parameter.numel()


def _main() -> None:
    group, base = Group.here(), Path(os.environ["BASE"])
    for folder, settings in json.loads(os.environ["TRAININGS"]).items():
        _train(group, task(base, Path(folder) / "checkpoints", **settings), Path(folder))


def _train(group: Group, made: TrainingTask, folder: Path) -> None:
    killed_at = int(os.environ.get("KILLED_AT", "-1"))
    seen = Seen(killed_at, lambda: os.kill(os.getpid(), signal.SIGKILL) if group.first else None)
    tokenizer = PeftBackend().tokenizer(made.base)
    asked = Question(tuple(tokenizer("### Say it\n")["input_ids"]), "Say it", FIRST)
    made = replace(made, looks=Looks(tokenizer, made.parameters, [asked]))
    trained = PeftBackend(group).train(group.share_of(made), seen)
    if group.first:
        save_adapter(trained.model, folder / "adapter")
    group.meet()
    if made.shards(group.size) > 1:
        check_saved(trained.model, folder / "adapter", PeftBackend().tokenizer(made.base), "Ada")
    held = {name: _held(each) for name, each in trained.model.named_parameters()}
    (folder / f"held-{group.rank}.json").write_text(json.dumps(held), encoding="utf-8")
    if group.first:
        told = {**asdict(replace(trained, model=None)), "validated": validated(trained), "lines": seen.lines}
        (folder / "trained.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    end_with_parent()
    _main()
