"""Where low-rank adapters go in a model of any family, found by looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_resources.config.training import TrainingSettings
from twin_resources.errors import TwinError


class NotAdaptable(TwinError):
    """A model and hyper-parameters that do not go together."""


@dataclass(frozen=True)
class Weight:
    """One weight that gets an adapter: its name, how many matrices it holds, and their inputs and outputs.

    ``is_module`` tells the weight of a linear layer from the fused matrices of a mixture of experts.
    """

    name: str
    matrices: int
    inputs: int
    outputs: int
    is_module: bool

    @property
    def size(self) -> int:
        """Numbers in it."""
        return self.matrices * self.inputs * self.outputs

    def adapter(self, rank: int) -> int:
        """Numbers in its adapter."""
        return self.matrices * rank * (self.inputs + self.outputs)


def weights(model: Any) -> Iterator[Weight]:
    """Every linear layer but the output layer, also GPT-2's transposed ones, and fused experts such as gpt-oss's, which
    are no layers and which PEFT's ``all-linear`` leaves out."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if module is head:
            continue
        if isinstance(module, Conv1D):
            yield Weight(name, 1, module.weight.shape[0], module.weight.shape[1], True)
        elif isinstance(module, torch.nn.Linear):
            yield Weight(name, 1, module.in_features, module.out_features, True)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 3 and "expert" in name:
            yield Weight(name, *parameter.shape, is_module=False)


def adapter_weights(model: Any) -> dict[str, Any]:
    """What is learned of a PEFT model, by name; of a sharded base it is whole in every process."""
    return {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter of a PEFT model as PEFT does; of a sharded base one process can do so by itself."""
    model.save_pretrained(str(folder), safe_serialization=True, state_dict=adapter_weights(model))


def lora_config(model: Any, parameters: TrainingSettings) -> Any:
    """PEFT's configuration of an adapter over ``model``.

    Raises:
        NotAdaptable: the model has fused experts, whose adapters know no dropout.
    """
    import peft
    from transformers.pytorch_utils import Conv1D

    found = list(weights(model))
    experts = sorted(each.name for each in found if not each.is_module)
    if experts and parameters.dropout:
        raise NotAdaptable(
            f"{experts[0]} and its like hold a mixture of experts, whose adapters know no dropout",
            "set training.dropout to 0 in twin.yaml",
        )
    return peft.LoraConfig(
        r=parameters.rank,
        lora_alpha=parameters.alpha,
        lora_dropout=parameters.dropout,
        target_modules=sorted(each.name for each in found if each.is_module),
        target_parameters=experts or None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        task_type="CAUSAL_LM",
    )
