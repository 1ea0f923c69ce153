"""Whether a training fits into the memory there is, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.guards import TrainingError
from twin_resources.models.memory import GIB, Estimate, Memory, Shape, estimate, of_presets
from twin_resources.models.precision import resolved

_MOST_PROCESSES = 64


class DoesNotFit(TrainingError):
    """A training takes more memory than there is, even one sample at a time."""


@dataclass(frozen=True)
class _Fitting:
    """A training of so many ``processes``, each of which can have what is ``there``."""

    shape: Shape
    there: Memory
    longest: int
    processes: int | None

    def needed(self, task: TrainingTask, shards: int) -> Estimate:
        """What a process takes."""
        return estimate(self.shape, task.parameters, dtype=resolved(task.dtype), tokens=self.longest, shards=shards)

    def smaller(self, task: TrainingTask, shards: int) -> TrainingTask | None:
        """The same steps in the largest batches that fit; None where one sample does not."""
        each: TrainingTask | None = task
        while each and self.needed(each, shards).total > self.there.available:
            each = each.with_smaller_batches()
        return each

    def sharing(self, task: TrainingTask) -> int | None:
        """The fewest processes, each on a device of its own like this one, that hold one sample if they share the base.

        None on a CPU, whose memory they would share too, in 4 bits, or where there is no such number.
        """
        if self.processes is None or self.there.device == "CPU" or task.parameters.quantization:
            return None
        whole = task.step_size * self.processes
        numbers = [each for each in range(2, min(whole, _MOST_PROCESSES) + 1) if whole % each == 0]
        one = task.in_batches(1, task.step_size)
        return next((each for each in numbers if self.needed(one, each).total <= self.there.available), None)


def fitted(task: TrainingTask, there: Memory, log: Callable[[str], None], processes: int | None = 1) -> TrainingTask:
    """The task as it fits: the same steps of smaller batches where the wanted ones would not, and the base sharded
    where ``training.shard`` is auto and not even one sample fits with all of it.

    Args:
        processes: that train side by side; ``task`` is the share of each, and ``there`` what each can have. None for
            one that can have no others beside it.

    Returns:
        The task, with ``shard`` settled.

    Raises:
        DoesNotFit: one sample at a time is too much; says what it takes, what there is and what would fit.
    """
    longest = max(len(sample.ids) for sample in task.train)
    fitting = _Fitting(Shape.of(task.base), there, longest, processes)
    shard = task.parameters.shard
    tried = [1]
    if processes and processes > 1 and shard is not False and not task.parameters.quantization:
        tried = [processes] if shard is True else [1, processes]
    found = next(((each, shards) for shards in tried if (each := fitting.smaller(task, shards))), None)
    if found is None:
        raise _refusal(fitting, task, tried[-1])
    smaller, shards = found
    if shards > 1 and shard == "auto":
        log(f"a device does not hold the base; sharing it among {processes} processes")
    if smaller is not task:
        log(
            f"batches of {task.parameters.batch_size} would not fit into {there.available / GIB:.1f} GiB; "
            f"taking {smaller.parameters.batch_size} samples at a time"
        )
    needed = fitting.needed(smaller, shards).total
    log(f"about {needed / GIB:.1f} GiB needed, {there.available / GIB:.1f} GiB there ({there.device})")
    return replace(smaller, parameters=smaller.parameters.model_copy(update={"shard": shards > 1}))


def _refusal(fitting: _Fitting, task: TrainingTask, shards: int) -> DoesNotFit:
    there = fitting.there
    needed = fitting.needed(task.in_batches(1, task.step_size), shards)
    parts = ", ".join(f"{name} {size:.1f}" for name, size in needed.gib().items() if name != "total")
    presets_here = of_presets(fitting.shape, dtype=resolved(task.dtype), tokens=fitting.longest, shards=shards)
    fits = [each for each in presets_here if each.bytes <= there.available]
    presets = ", ".join(f"{each.preset} ({each.bytes / GIB:.1f} GiB)" for each in fits)
    smallest = "no preset fits: choose a smaller base, or training.quantization: nf4 and fewer max_answering_tokens"
    remedy = f"set training.preset in twin.yaml to one that fits: {presets}" if fits else smallest
    if sharing := fitting.sharing(task):
        each = fitting.needed(task.in_batches(1, task.step_size), sharing).total / GIB
        setting = "training.shard: true" if sharing == fitting.processes else f"training.processes: {sharing}"
        remedy += f"; or {setting}, so that {sharing} GPUs like this share the base ({each:.1f} GiB each)"
    divided = f" in each of {shards} processes that share the base" if shards > 1 else ""
    return DoesNotFit(
        f"one sample of {fitting.longest} tokens at a time takes {needed.total / GIB:.1f} GiB{divided} ({parts}), and "
        f"{there.available / GIB:.1f} GiB are there ({there.device})",
        remedy,
    )
