"""Unsloth against PEFT on a GPU, in one run: ``make bench-gpu``, or ``python -m benchmarks.gpu --python INTERPRETER``.

Both train the same adapter, on the same rows of random tokens, over a Llama whose weights are drawn here, so nothing is
downloaded; each in a process of its own. Told are training tokens a second (of the median step of the second half, so
what is compiled first does not count), the most memory that torch held, and the loss of the base and at the end, which
has to be the same within rounding. Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.choice import chosen, cuda_capability
from twin_resources.config.training import TrainingSettings
from twin_resources.models.causal import Encoded

BILLION: Mapping[str, Any] = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}
"""The shape of Llama 3.2 1B."""
_OURS = Path(".venv-unsloth/bin/python")
_TOLERANCE = 0.02


def draw_base(folder: Path, shape: Mapping[str, Any], dtype: str) -> None:
    """Write a Llama with weights as they are initialised, and a tokenizer that knows bytes."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(7)
    config: Any = LlamaConfig(**shape, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    words = ["<pad>", "<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, []))
    special = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)


@dataclass
class _Clock:
    """When each step ended."""

    at: list[float] = field(default_factory=list)

    def log(self, message: str) -> None:
        print(message, flush=True)

    def metric(self, name: str, value: float, step: int) -> None:
        if name == "loss":
            self.at.append(time.monotonic())


def train(backend: str, base: Path, folder: Path, parameters: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What one back end makes of 40 steps, in a process that imported none of its libraries yet.

    Args:
        parameters: of :class:`~twin_resources.config.training.TrainingSettings`.
    """
    settings = TrainingSettings.model_validate({**parameters, "backend": backend})
    trainer = chosen(settings, base=base, dtype=dtype, workdir=folder, log=print)
    import torch

    tokens, drawn = settings.max_sample_tokens, random.Random(3)
    size = 40 * settings.batch_size * settings.gradient_accumulation
    vocabulary = json.loads((base / "config.json").read_text("utf-8"))["vocab_size"]
    lengths = [drawn.randint(tokens // 2, tokens) for _ in range(size)]
    rows = [Encoded(tuple(drawn.choices(range(3, vocabulary), k=each)), each // 4) for each in lengths]
    task = TrainingTask(
        base=base,
        dtype=dtype,
        train=rows,
        validation=rows[:8],
        parameters=settings,
        checkpoints=folder / "checkpoints",
        pad_id=0,
    )
    clock = _Clock()
    trained = trainer.train(task, clock)
    steps = [later - earlier for earlier, later in zip(clock.at, clock.at[1:], strict=False)]
    losses = [entry["eval_loss"] for entry in trained.history if "eval_loss" in entry]
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {
        "tokens_s": task.tokens / trained.steps / statistics.median(steps[len(steps) // 2 :]),
        "gpu_gib": peak / 2**30,
        "base_loss": losses[0],
        "loss": losses[-1],
    }


def compare(python: str, parameters: Mapping[str, Any], shape: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What each back end made of it; a back end that could not says so and is left out."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        base = Path(home) / "base"
        draw_base(base, shape, dtype)
        for backend, interpreter in (("peft", sys.executable), ("unsloth", python)):
            result = Path(home) / f"{backend}.json"
            told = [backend, str(base), str(Path(home) / backend), json.dumps(dict(parameters)), dtype, str(result)]
            subprocess.run([interpreter, "-m", "benchmarks.gpu", "--one", *told], check=False)
            if result.exists():
                found[backend] = json.loads(result.read_text("utf-8"))
                one = found[backend]
                print(
                    f"{backend:<8} {one['tokens_s']:>9,.0f} tokens/s {one['gpu_gib']:>7.2f} GiB   "
                    f"loss {one['base_loss']:.3f} to {one['loss']:.3f}"
                )
            else:
                print(f"{backend:<8} was not measured; the reason stands above")
    return found


def _one(backend: str, base: str, folder: str, parameters: str, dtype: str, result: str) -> None:
    Path(folder).mkdir()
    made = train(backend, Path(base), Path(folder), json.loads(parameters), dtype)
    Path(result).write_text(json.dumps(made), encoding="utf-8")


def main() -> int:
    """Measure both, where there is a GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--python", default=str(_OURS) if _OURS.exists() else sys.executable, help="with Unsloth")
    parser.add_argument("--tokens", type=int, default=512, help="longest sample")
    parser.add_argument("--batch", type=int, default=8, help="samples at a time")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _one(*arguments.one)
        return 0
    if cuda_capability() is None:
        print("there is no NVIDIA GPU here, so there is nothing to measure")
        return 0
    sizes = {"max_sample_tokens": arguments.tokens, "max_answering_tokens": arguments.tokens}
    parameters = {**sizes, "batch_size": arguments.batch, "gradient_accumulation": 1, "token_budget": None}
    found = compare(arguments.python, parameters, BILLION, "bfloat16")
    if len(found) < 2:
        return 1
    ours, theirs = found["peft"], found["unsloth"]
    print(
        f"Unsloth trains {theirs['tokens_s'] / ours['tokens_s']:.2f} times as fast as PEFT, "
        f"in {theirs['gpu_gib'] / ours['gpu_gib']:.2f} times its memory"
    )
    apart = abs(theirs["loss"] - ours["loss"]) / ours["loss"]
    print(f"their losses are {apart:.2%} apart at the end (allowed: {_TOLERANCE:.0%})")
    return int(apart > _TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
