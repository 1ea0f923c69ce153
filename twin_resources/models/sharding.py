"""A base whose weights lie in shards, one in each process of a training (FSDP; Zhao et al. 2023, arXiv:2304.11277)."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def blocks(model: Any) -> tuple[str, Any]:
    """The name and the list of a model's decoder blocks: of all lists of modules the one with most of the weights."""
    import torch

    lists = [item for item in model.named_modules() if isinstance(item[1], torch.nn.ModuleList)]
    return max(lists, key=lambda item: sum(each.numel() for each in item[1].parameters()))


def load(folder: Path, dtype: Any, processes: int) -> Any:
    """The causal model in a folder, of whose weights each of so many processes reads and keeps its share.

    A block is put together in every process while it is computed, and given up again. All of them have to call the
    model as often and in the same order. An adapter that is put over it is whole in each.

    Args:
        dtype: of torch.
        processes: which have met (``torch.distributed``).
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.distributed.configuration_utils import DistributedConfig

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    name, _ = blocks(empty)
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        distributed_config=DistributedConfig(fsdp_size=processes, fsdp_plan={f"{name}.*": "free_full_weight"}),
    )


def is_sharded(model: Any) -> bool:
    """Whether :func:`load` made it."""
    return getattr(model, "is_distributed_loading_by_transformers", False)
