"""LoRA with Unsloth, on a GPU: its own kernels under the same trainer, losses, checkpoints and adapters.

What is said of Unsloth here was read in its source, versions 2026.8.19 and 2026.10.9.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import TrainingError
from twin_assets.train.backends.loop import LoraBackend
from twin_resources.models.causal import Side
from twin_resources.models.lora import lora_config
from twin_resources.models.precision import resolved

_LENGTH = 2048
"""Tokens it makes room for at least, where the base has as many positions."""


def load(workdir: Path) -> None:
    """Import Unsloth, which puts its own code into transformers, PEFT and their trainer, so before any of them.

    It may ask no hub (it would download files to be counted, and look up quantised copies of a base), and it writes the
    code that it generates into ``workdir``, where it would otherwise write it into the working directory.

    Raises:
        TrainingError: it cannot be imported. What it has put in place by then stays, so nothing else trains here.
    """
    os.environ.update(
        {
            "UNSLOTH_DISABLE_STATISTICS": "1",
            "UNSLOTH_COMPILE_LOCATION": str(workdir / "unsloth_compiled_cache"),
            **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
    )
    try:
        importlib.import_module("unsloth")
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise TrainingError(
            f"Unsloth is installed in {sys.executable} and cannot be imported: {type(error).__name__}: {said}",
            "install it anew there (docs/training.md says how), or set training.backend to peft in twin.yaml",
        ) from error


class UnslothAdapting:
    """The base as Unsloth loads it, and its fast layers around PEFT's adapters.

    While it trains, its attention takes no mask: what stands behind a row is hidden by causality alone, so rows are
    padded on the right. Where packed samples end it has to be told.
    """

    name = "unsloth"
    side: Side = "right"
    marks_samples = True

    def adapted(self, task: TrainingTask, shards: int) -> Any:
        """See :class:`~twin_assets.train.backends.base.Adapting`; of a base that is not sharded.

        An adapter to go on from is put over this very base: Unsloth would look for the one that it names on a hub.
        """
        import peft
        import torch
        import transformers

        unsloth = importlib.import_module("unsloth").FastLanguageModel
        parameters = task.parameters
        checkpointing = "unsloth" if parameters.gradient_checkpointing else False
        positions = transformers.AutoConfig.from_pretrained(task.base, local_files_only=True).max_position_embeddings
        longest = max(parameters.max_sample_tokens, parameters.max_answering_tokens)
        model, _ = unsloth.from_pretrained(
            model_name=str(task.base),
            max_seq_length=min(positions, max(_LENGTH, longest)),  # rows are cut there; above, positions are stretched
            dtype=getattr(torch, resolved(task.dtype)),
            load_in_4bit=parameters.quantization == "nf4",
            use_gradient_checkpointing=checkpointing,
            random_state=parameters.seed,
            use_exact_model_name=True,
            local_files_only=True,
            trust_remote_code=False,
            fix_tokenizer=False,
        )
        if task.start:
            adapted = peft.PeftModel.from_pretrained(model, str(task.start), is_trainable=True)
            adapted = unsloth.patch_peft_model(adapted, use_gradient_checkpointing=checkpointing)
        else:
            targets = lora_config(model, parameters).target_modules
            adapted = unsloth.get_peft_model(
                model,
                r=parameters.rank,
                target_modules=sorted({name.rpartition(".")[2] for name in targets}),
                lora_alpha=parameters.alpha,
                lora_dropout=parameters.dropout,
                bias="none",
                use_gradient_checkpointing=checkpointing,
                random_state=parameters.seed,
            )
        for config in adapted.peft_config.values():
            config.auto_mapping = None  # names the class that Unsloth put in place, and is nothing that PEFT asks for
        return adapted

    def arguments(self, task: TrainingTask) -> dict[str, Any]:
        """In 16 bits its kernels are used under autocast; it computes activations twice by itself."""
        import torch

        return {"bf16": resolved(task.dtype) == "bfloat16" and torch.cuda.is_available()}

    def ready_to_write(self, model: Any) -> None:
        """Its ``generate`` switches to its kernels for writing by itself, and back, with the checkpointing of
        activations, only where it finds the model in training mode."""
        model.train()


class UnslothBackend(LoraBackend):
    """What trains where :func:`load` could import it; one process, on a GPU."""

    def __init__(self, group: Group | None = None) -> None:
        super().__init__(UnslothAdapting(), group)
