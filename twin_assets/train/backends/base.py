"""What a training back end is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from twin_assets.train.looks.asked import Looks
from twin_assets.train.looks.record import Record
from twin_resources.config.training import TrainingSettings
from twin_resources.models.causal import Side


class Objective(Protocol):
    """What is learned from samples of some kind."""

    def prepared(self, model: Any, samples: Sequence[Any], pad_id: int, *, side: Side = "left") -> Sequence[Any]:
        """Samples with what the model makes of them before anything is learned."""
        ...

    def collate(self, batch: Sequence[Any], pad_id: int, *, side: Side = "left") -> dict[str, Any]:
        """Tensors of a batch padded on this side, ``labels`` among them."""
        ...

    def loss(self, model: Any, batch: Any) -> tuple[Any, Any]:
        """Summed loss (scalar tensor) and what it is divided by."""
        ...


@dataclass(frozen=True)
class TrainingTask:
    """One adapter to train.

    Args:
        base: folder of the base model.
        train: samples in the order in which they are learned from.
        validation: samples whose loss is watched.
        too_long: samples that did not fit, and are not learned from.
        checkpoints: folder of the checkpoints; a complete one in it is gone on from.
        start: folder of the adapter that training starts from; a new one without it.
        objective: what is learned; to give the answers of the samples without it.
        learned: ids of samples that are learned from, a fixed draw of them where they are many.
        looks: what the adapter is asked on the way; nothing without it.
    """

    base: Path
    dtype: str
    train: Sequence[Any]
    validation: Sequence[Any]
    parameters: TrainingSettings
    checkpoints: Path
    pad_id: int
    too_long: int = 0
    start: Path | None = None
    objective: Objective | None = None
    learned: Sequence[str] = ()
    looks: Looks | None = None

    @property
    def step_size(self) -> int:
        """Samples an optimizer step learns from."""
        return self.parameters.batch_size * self.parameters.gradient_accumulation

    def with_smaller_batches(self) -> TrainingTask | None:
        """The same steps with half as many samples at a time, or as many as divide a step; None below one."""
        half = self.parameters.batch_size // 2
        return self.in_batches(half, self.step_size) if half else None

    def in_batches(self, most: int, samples: int) -> TrainingTask:
        """Steps of so many ``samples``, with at most ``most`` of them at a time: as many as divide a step."""
        batch = next(each for each in range(min(most, samples), 0, -1) if samples % each == 0)
        changes = {"batch_size": batch, "gradient_accumulation": samples // batch}
        return replace(self, parameters=self.parameters.model_copy(update=changes))

    def shards(self, processes: int) -> int:
        """Into how many parts the base is divided among so many processes: as many, or it is whole in each."""
        return processes if self.parameters.shard is True else 1

    @property
    def tokens(self) -> int:
        """Tokens of all training samples."""
        return sum(len(sample.ids) for sample in self.train)


class Watcher(Protocol):
    """Who is told how far a training is."""

    def log(self, message: str) -> None:
        """A line for a person."""
        ...

    def metric(self, name: str, value: float, step: int) -> None:
        """One value of a curve."""
        ...


@dataclass(frozen=True)
class Trained:
    """A trained adapter: the adapted ``model``, its loss curve, and whether it went on from a checkpoint.

    ``history`` has entries with ``step`` and ``loss`` or ``eval_loss``; ``batch_size`` is what memory had room for, and
    ``looked`` what was seen on the way. Where that stopped it, the model is that of the step that is kept, and
    ``steps`` says which.
    """

    model: Any
    history: Sequence[dict[str, float]]
    steps: int
    loss: float
    seconds: float
    resumed: bool
    batch_size: int
    looked: Record | None = None

    @property
    def validation_losses(self) -> Sequence[float]:
        """Those up to the step of the model; the base's is the first."""
        return [each["eval_loss"] for each in self.history if "eval_loss" in each and each["step"] <= self.steps]


class Adapting(Protocol):
    """How a base is loaded and an adapter put around it, which is all that back ends differ in.

    ``side`` is where the rows of a batch are padded. ``marks_samples`` says whether the model wants to be told where
    samples that are packed into one row end, because positions that start again do not tell it.
    """

    name: str
    side: Side
    marks_samples: bool

    def adapted(self, task: TrainingTask, shards: int) -> Any:
        """The base of a task with a new adapter, or the one it starts from, as a PEFT model that can be trained.

        Args:
            shards: of so many of the base, each process loads its own.
        """
        ...

    def arguments(self, task: TrainingTask) -> dict[str, Any]:
        """What is set for it in ``transformers.TrainingArguments``."""
        ...

    def ready_to_write(self, model: Any) -> None:
        """Put a model that is being trained into the mode that its ``generate`` is called in."""
        ...


class Backend(Protocol):
    """Trains LoRA adapters (Hu et al. 2021, arXiv:2106.09685)."""

    name: str

    def tokenizer(self, base: Path) -> Any:
        """The tokenizer of a base model, with a padding token."""
        ...

    def train(self, task: TrainingTask, watcher: Watcher) -> Trained:
        """Train one adapter."""
        ...
