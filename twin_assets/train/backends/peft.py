"""LoRA with PEFT: any causal model, on a CPU or a GPU, by one process or several."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.loop import LoraBackend
from twin_resources.models import causal
from twin_resources.models.causal import Side
from twin_resources.models.loading import sparingly
from twin_resources.models.lora import lora_config


class PeftAdapting:
    """The base as transformers loads it, and PEFT's adapters on every linear layer."""

    name = "peft"
    side: Side = "left"
    marks_samples = False

    def adapted(self, task: TrainingTask, shards: int) -> Any:
        """See :class:`~twin_assets.train.backends.base.Adapting`."""
        with sparingly():
            import peft

        model = causal.load_model(task.base, task.dtype, task.parameters.quantization, shards)
        if task.start:
            return peft.PeftModel.from_pretrained(model, str(task.start), is_trainable=True)
        return peft.get_peft_model(model, lora_config(model, task.parameters))

    def arguments(self, task: TrainingTask) -> dict[str, Any]:
        """Whether activations are computed twice; transformers up to 5.5 calls that by another name."""
        import transformers

        known = {field.name for field in fields(transformers.TrainingArguments)}
        setting = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
        return {setting: task.parameters.gradient_checkpointing, f"{setting}_kwargs": {"use_reentrant": False}}

    def ready_to_write(self, model: Any) -> None:
        """See :class:`~twin_assets.train.backends.base.Adapting`."""
        model.eval()


class PeftBackend(LoraBackend):
    """What trains where nothing else can."""

    def __init__(self, group: Group | None = None) -> None:
        super().__init__(PeftAdapting(), group)
