"""Whether a training fits into the memory there is, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.guards import TrainingError
from twin_resources.models.memory import GIB, Estimate, Memory, Shape, estimate, of_presets
from twin_resources.models.precision import resolved


class DoesNotFit(TrainingError):
    """A training takes more memory than there is, even one sample at a time."""


def fitted(task: TrainingTask, there: Memory, log: Callable[[str], None]) -> TrainingTask:
    """The task as it fits: the same steps of smaller batches where the wanted ones would not.

    Raises:
        DoesNotFit: one sample at a time is too much; says what it takes, what there is and which presets fit.
    """
    shape = Shape.of(task.base)
    longest = max(len(sample.ids) for sample in task.train)
    wanted, smaller = task, task
    while _estimated(shape, smaller, longest).total > there.available:
        following = smaller.with_smaller_batches()
        if following is None:
            raise _refusal(shape, smaller, there, longest)
        smaller = following
    needed = _estimated(shape, smaller, longest)
    if smaller is not wanted:
        log(
            f"batches of {wanted.parameters.batch_size} would not fit into {there.available / GIB:.1f} GiB; "
            f"taking {smaller.parameters.batch_size} samples at a time"
        )
    log(f"about {needed.total / GIB:.1f} GiB needed, {there.available / GIB:.1f} GiB there ({there.device})")
    return smaller


def _estimated(shape: Shape, task: TrainingTask, longest: int) -> Estimate:
    return estimate(shape, task.parameters, dtype=resolved(task.dtype), tokens=longest)


def _refusal(shape: Shape, task: TrainingTask, there: Memory, longest: int) -> DoesNotFit:
    needed = _estimated(shape, task, longest)
    parts = ", ".join(f"{name} {size:.1f}" for name, size in needed.gib().items() if name != "total")
    presets_here = of_presets(shape, dtype=resolved(task.dtype), tokens=longest)
    fits = [each for each in presets_here if each.bytes <= there.available]
    presets = ", ".join(f"{each.preset} ({each.bytes / GIB:.1f} GiB)" for each in fits)
    smallest = "no preset fits: choose a smaller base, or training.quantization: nf4 and fewer max_answering_tokens"
    return DoesNotFit(
        f"one sample of {longest} tokens at a time takes {needed.total / GIB:.1f} GiB ({parts}), and "
        f"{there.available / GIB:.1f} GiB are there ({there.device})",
        f"set training.preset in twin.yaml to one that fits: {presets}" if fits else smallest,
    )
