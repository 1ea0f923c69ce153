"""Whether the adapter in a folder is the one that was trained: a good one saved wrongly must not be released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin_assets.train.backends.guards import TrainingError
from twin_resources.models.parity import Divergence, distributions, divergence
from twin_resources.rag import probes

MEAN, LARGEST = 1e-4, 1e-3
"""Nats. The same weights over the same base differ by rounding alone."""
_NAME = "saved"


class SavedWrongly(TrainingError):
    """What was saved answers otherwise than what was trained."""


def check_saved(trained: Any, folder: Path, tokenizer: Any, author: str) -> Divergence:
    """Read the adapter in ``folder`` beside the trained one, over the same base, and compare what they say.

    Args:
        trained: the PEFT model with its adapter ``default``, as training left it.

    Raises:
        SavedWrongly: they differ by more than rounding, or the folder cannot be read.
    """
    from safetensors import SafetensorError

    samples = probes.encoded(tokenizer, author)
    wanted = distributions(trained.eval(), samples)
    try:
        trained.load_adapter(str(folder), adapter_name=_NAME)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SavedWrongly(
            f"the adapter saved in {folder} cannot be read: {error}", "run the training again"
        ) from error
    trained.set_adapter(_NAME)
    found = divergence(wanted, distributions(trained.eval(), samples))
    trained.set_adapter("default")
    trained.delete_adapter(_NAME)
    if not found.within(MEAN, LARGEST):
        raise SavedWrongly(
            f"the adapter saved in {folder} is not the one that was trained: over {found.positions} tokens they are "
            f"{found.mean:.2g} nats apart, {found.largest:.2g} at most (allowed: {MEAN:g} and {LARGEST:g})",
            "run the training again; where that repeats itself, the installed peft and transformers do not go together",
        )
    return found
