"""How much memory the training of an adapter takes, from a base's ``config.json`` alone, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_resources.config.training import PRESETS, Preset, TrainingSettings
from twin_resources.models import lora, sharding

GIB = 1024**3
_NF4 = 0.5 + 0.127 / 8
"""Bytes a weight: four bits, and the share of its quantised constant (Dettmers et al. 2023, arXiv:2305.14314)."""
_ADAPTER = 16
"""Bytes a number of the adapter, which is float32 whatever the base is: itself, its gradient, two moments of AdamW."""
_LOGIT = 12
"""Bytes an entry of the output beyond those of its own type: as float32, its softmax, and the gradient of that."""
_COPIES = {2: 1.4, 4: 1.0}
"""Copies of their outputs that layers keep, by bytes of the type; in float32 the adapters' inputs are some of them."""
_SCORE = 16
"""Bytes a score of attention that is kept: itself, its softmax, and what dropout leaves of it."""
_TOGETHER = 3
"""Blocks of a sharded base that are in memory at once: the one that is computed, and the next, which is received in one
piece and laid out as weights."""
_PROCESS = 0.75 * GIB
"""Interpreter and libraries; on a GPU its context and what the allocator can't use."""


@dataclass(frozen=True)
class Shape:
    """What of a model decides how much memory it takes.

    ``parameters`` counts all weights, tied ones once, and ``linear`` those of them that 4 bits can hold; ``adapter`` is
    that of an adapter of rank 1. ``inputs`` and ``outputs`` are the widths of all layers with an adapter, summed,
    of a mixture of experts those that one token goes through, and ``norms`` those of all normalisations. ``scores`` is
    the number of attention heads in all layers where the scores are kept for the way back, else 0. ``block`` counts the
    weights of the largest decoder block, and ``ends`` those outside of all.
    """

    parameters: int
    linear: int
    adapter: int
    inputs: int
    outputs: int
    norms: int
    layers: int
    hidden: int
    vocabulary: int
    scores: int
    block: int
    ends: int

    @classmethod
    def of(cls, base: Path) -> Shape:
        """The shape of the model in a folder; its weights are not read and need not be there.

        Raises:
            OSError: there is no ``config.json``.
        """
        from transformers import AutoConfig

        return cls.of_config(AutoConfig.from_pretrained(base, local_files_only=True))

    @classmethod
    def of_config(cls, config: Any) -> Shape:
        """The shape of a transformers configuration: the model is built without storage and looked at."""
        import torch
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
        text = config.get_text_config()
        found = list(lora.weights(model))
        experts = max([each.matrices for each in found], default=1)
        used = getattr(text, "num_experts_per_tok", None) or 1
        passes = {each.name: used if each.matrices == experts > 1 else 1 for each in found}
        dropped = getattr(text, "attention_dropout", 0) or getattr(text, "attn_pdrop", 0)
        kept = getattr(model.config, "_attn_implementation", "") == "eager" or dropped
        parameters = sum(each.numel() for each in model.parameters())
        blocks = [sum(each.numel() for each in block.parameters()) for block in sharding.blocks(model)[1]]
        return cls(
            parameters=parameters,
            linear=sum(each.size for each in found if each.is_module),
            adapter=sum(each.adapter(1) for each in found),
            inputs=sum(each.inputs * passes[each.name] for each in found),
            outputs=sum(each.outputs * passes[each.name] for each in found),
            norms=_norms(model, text),
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            vocabulary=text.vocab_size,
            scores=text.num_hidden_layers * text.num_attention_heads if kept else 0,
            block=max(blocks),
            ends=parameters - sum(blocks),
        )


def _norms(model: Any, text: Any) -> int:
    """Widths of all normalisations; those of queries and keys run once a head."""
    total = 0
    for name, module in model.named_modules():
        if type(module).__name__.lower().endswith("norm") and getattr(module, "weight", None) is not None:
            width = module.weight.numel()
            heads = {"q_norm": text.num_attention_heads, "k_norm": getattr(text, "num_key_value_heads", 1)}
            per_head = width < text.hidden_size
            total += width * (heads.get(name.rsplit(".", 1)[-1], 1) if per_head else 1)
    return total


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak of a training, by what takes them."""

    weights: float
    adapter: float
    activations: float
    logits: float
    process: float = _PROCESS

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.adapter + self.activations + self.logits + self.process

    def gib(self) -> dict[str, float]:
        """The parts and their sum in GiB."""
        parts = ("weights", "adapter", "activations", "logits", "process", "total")
        return {name: round(getattr(self, name) / GIB, 2) for name in parts}


def estimate(
    shape: Shape, parameters: TrainingSettings, *, dtype: str = "auto", tokens: int | None = None, shards: int = 1
) -> Estimate:
    """The memory of a training, in each of its processes.

    For the way back a layer keeps its input as float32 for the adapter, a norm its input as float32, and activations,
    products and attention keep about one copy more of what layers put out (``_COPIES``, counted on nine families). With
    gradient checkpointing (Chen et al. 2016, arXiv:1604.06174) only the inputs of blocks stay, and one block at a time.

    Args:
        dtype: of the base, see :func:`~twin_resources.models.causal.load_model`.
        tokens: of the longest sample; the limit of samples that answer from passages without it.
        shards: into which the base is divided. Beside its own, a process has blocks in memory that are put together
            (``_TOGETHER``), embeddings and output layer.
    """
    width = 4 if dtype == "float32" else 2
    longest = tokens or max(parameters.max_sample_tokens, parameters.max_answering_tokens)
    batch = parameters.batch_size * longest
    weights = shape.parameters * width
    if parameters.quantization:
        weights = (shape.parameters - shape.linear) * width + shape.linear * _NF4
    elif shards > 1:
        weights = shape.parameters * width / shards + (_TOGETHER * shape.block + shape.ends) * width
    scores = shape.scores * parameters.batch_size * longest**2 * (parameters.batch_size if parameters.packing else 1)
    kept = batch * (shape.inputs * 4 + shape.norms * 4 + shape.outputs * _COPIES[width] * width) + scores * _SCORE
    if parameters.gradient_checkpointing:
        kept = batch * shape.layers * shape.hidden * width + 2 * kept / shape.layers
    return Estimate(
        weights=weights,
        adapter=shape.adapter * parameters.rank * _ADAPTER,
        activations=kept,
        logits=batch * shape.vocabulary * (_LOGIT + (width if width == 2 else 0)),
    )


@dataclass(frozen=True)
class Fit:
    """A preset and the bytes that a training with it takes in each process."""

    preset: Preset
    bytes: float


def of_presets(shape: Shape, *, dtype: str = "auto", tokens: int | None = None, shards: int = 1) -> list[Fit]:
    """What each preset takes with a base of this shape, in the order of the presets; in 4 bits none is sharded."""
    chosen: dict[Preset, TrainingSettings] = {
        name: TrainingSettings.model_validate({"preset": name}) for name in PRESETS
    }
    return [
        Fit(name, estimate(shape, each, dtype=dtype, tokens=tokens, shards=shards).total)
        for name, each in chosen.items()
    ]


@dataclass(frozen=True)
class Memory:
    """Memory that a new process can have, in bytes, and whose it is."""

    device: str
    available: float

    @classmethod
    def here(cls, processes: int = 1) -> Memory:
        """That of the GPU where there is one, else what machine and container leave each of so many processes."""
        import torch

        if torch.cuda.is_available():
            return cls(torch.cuda.get_device_name(), torch.cuda.mem_get_info()[0])
        import psutil

        free = psutil.virtual_memory().available
        left = _container(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
        return cls("CPU", (free if left is None else min(free, left)) / processes)


def _container(root: Path, membership: Path) -> float | None:
    """What the control groups of this process leave, in bytes; None where nothing is limited.

    Pages of files count as used there, and are given back when somebody needs them.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        second = not controllers
        if not second and "memory" not in controllers.split(","):
            continue
        top = root if second else root / "memory"
        limit, usage = (
            ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        group = top / name.lstrip("/")
        for folder in (group, *(each for each in group.parents if each.is_relative_to(top))):
            try:
                most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
            except (OSError, ValueError):
                continue
            left.append(max(0, most - used + _files(folder / "memory.stat")))
    return min(left, default=None)


def _files(stat: Path) -> int:
    """Bytes of files' pages that are given back on demand."""
    try:
        facts = dict(line.split() for line in stat.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(facts.get("total_inactive_file", facts.get("inactive_file", 0)))
