"""The folder of an adapter: weights, card, figures and loss curve."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twin_assets.train.plot import loss_curve
from twin_resources.config.training import TrainingSettings
from twin_resources.models.fingerprint import RECORD
from twin_resources.models.lora import save_adapter


@dataclass(frozen=True)
class Provenance:
    """What an adapter is of and from; stands in its card and beside its weights.

    ``hyperparameters`` says where those come from: from ``twin.yaml`` and defaults, or from a search; ``backend`` which
    library trained.
    """

    author: str
    version: str
    base: str
    base_fingerprint: str
    dataset: str
    pairs: str
    hyperparameters: str
    training_code: str
    backend: str
    prompt: str

    def as_dict(self) -> dict[str, str]:
        """For the card and the record."""
        return {name.replace("_", " "): value for name, value in asdict(self).items()}


def write_adapter(
    model: Any,
    folder: Path,
    provenance: Provenance,
    *,
    parameters: TrainingSettings,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write everything aside and put it in place at the end, so that half an adapter is never found.

    Args:
        model: a PEFT model with the adapter ``default``.
    """
    staging = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(staging, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = provenance.base
    save_adapter(model, staging)
    (staging / "README.md").write_text(card(provenance, parameters, metrics), encoding="utf-8")
    record = {
        "facts": provenance.as_dict(),
        "metrics": dict(metrics),
        "parameters": parameters.model_dump(exclude={"search"}),
        "history": list(history),
    }
    (staging / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    loss_curve(history, staging / "loss.png")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(staging, folder)


def card(provenance: Provenance, parameters: TrainingSettings, metrics: Mapping[str, Any]) -> str:
    """A model card in Markdown."""
    rows = [f"| {name} | {value} |" for name, value in {**provenance.as_dict(), **metrics}.items()]
    settings = [f"| {name} | {value} |" for name, value in parameters.model_dump(exclude={"search"}).items()]
    head = ["| | |", "|---|---|"]
    lines = [
        f"# {provenance.version}",
        "",
        f"A LoRA adapter that answers as {provenance.author}, trained on their own published text.",
        "",
        *head,
        *rows,
        "",
        "## Hyper-parameters",
        "",
        *head,
        *settings,
        "",
    ]
    return "\n".join(lines)
