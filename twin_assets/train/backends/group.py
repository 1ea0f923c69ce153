"""Several processes that train one adapter side by side, as torchrun starts them; most trainings are one alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.guards import TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a training, and which of them this one is.

    All of them make the same calls in the same order, as each waits for the others in it.
    """

    rank: int = 0
    size: int = 1
    beside: int = 1
    """How many of them share this machine."""

    @classmethod
    def here(cls) -> Group:
        """As torchrun's environment says; one process without it. Each takes the GPU of its place."""
        rank, size, beside = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        group = cls(int(rank or 0), int(size or 1), int(beside or 1))
        if group.size > 1:
            import torch

            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return group

    def meet(self) -> None:
        """Wait until all of them are there."""
        if self.size > 1:
            self._state().wait_for_everyone()

    @property
    def first(self) -> bool:
        """Whether this one writes and tells, for all."""
        return self.rank == 0

    def agreed(self, value: T) -> T:
        """What the first process says, in all of them."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        said: list[Any] = [value]
        self._state()
        return broadcast_object_list(said)[0]

    def any(self, *told: bool) -> tuple[bool, ...]:
        """Of each of these, whether one of the processes says so."""
        if self.size == 1:
            return told
        from accelerate.utils import gather_object

        self._state()
        every: list[tuple[bool, ...]] = gather_object([told])
        return tuple(any(each) for each in zip(*every, strict=True))

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process does it while the others wait; they find it done."""
        if self.size == 1:
            yield
            return
        with self._state().main_process_first():
            yield

    def share_of(self, task: TrainingTask) -> TrainingTask:
        """The task with as many samples at a time as make, over all processes, the same optimizer steps.

        Raises:
            TrainingError: a step cannot be divided among them.
        """
        each, left = divmod(task.step_size, self.size)
        if left:
            raise TrainingError(
                f"an optimizer step learns from {task.step_size} samples, which {self.size} processes cannot share",
                "set training.processes to a divisor of it, or training.gradient_accumulation to a multiple of "
                "training.processes, in twin.yaml",
            )
        return task.in_batches(task.parameters.batch_size, each)

    def _state(self) -> Any:
        import torch
        from accelerate import PartialState

        return PartialState() if torch.cuda.is_available() else PartialState(cpu=True, backend="gloo")
