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

RECORDED = 256
"""Ids of samples that an adapter's record holds: the lowest, which is a fair draw, as they are hashes."""


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
    base_template: str
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
    learned: Sequence[str] = (),
) -> None:
    """Write everything aside and put it in place at the end, so that half an adapter is never found.

    Args:
        model: a PEFT model with the adapter ``default``.
        learned: ids of samples that it learned from, see :func:`learned_by`.
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
        "learned": list(learned),
    }
    (staging / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    loss_curve(history, staging / "loss.png")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(staging, folder)


def learned_by(folder: Path) -> list[str]:
    """Ids of samples that the adapter in a folder learned from, :data:`RECORDED` of them at most: a training may stop
    at its token budget before it has seen them all. None of an adapter that does not say."""
    path = folder / RECORD
    return json.loads(path.read_text(encoding="utf-8")).get("learned", []) if path.exists() else []


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


def sample_texts(texts: Sequence[Mapping[str, Any]]) -> str:
    """What an adapter answered in the end to held-out questions, in Markdown, beside how its author's answers begin.

    No part of the card: what quotes a document has to go when that is forgotten, and the files of an adapter that was
    not trained on it stay.
    """
    blocks = (f"**{each['question']}**\n\n> {each['text']}\n\nThe author: {each['own']} …" for each in texts)
    return "\n\n---\n\n".join(blocks)
