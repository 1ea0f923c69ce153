"""Training, scoring and generation with the base model, in tokens a second."""

from __future__ import annotations

import time
from typing import Any

import peft
import torch

from benchmarks.features import Bench
from benchmarks.table import Table
from twin_assets.dataset import instruct
from twin_assets.dataset.encode import encode_rows
from twin_resources.generation.batching import Batch
from twin_resources.generation.decoding import Sampling, Writing
from twin_resources.models import causal, hub

_TOKENS = 48


def measure(table: Table, bench: Bench) -> None:
    """Find and load the base model, then measure what it does on the author's own samples."""
    start = time.perf_counter()
    folder = hub.resolve(bench.settings.models.base, bench.settings)
    table.add(f"unpack or find {bench.settings.models.base}", time.perf_counter() - start, "s")
    start = time.perf_counter()
    model, tokenizer = causal.load_base(folder)
    table.add("load the base model", time.perf_counter() - start, "s")
    samples = instruct.build(bench.author.id, bench.warehouse.chunks.current(bench.author.id), 0.0).split("train")[:24]
    encoded = encode_rows(tokenizer, samples, "Bench", 256, 256)
    tokens = sum(len(sample.ids) for sample in encoded)
    list(causal.losses(model, encoded[:2], tokenizer.pad_token_id))
    start = time.perf_counter()
    list(causal.losses(model, encoded, tokenizer.pad_token_id))
    table.add("loss on held-out answers", tokens / (time.perf_counter() - start), "tokens/s")
    _generation(table, model, tokenizer)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapted.train()
    start = time.perf_counter()
    for first in range(0, len(encoded), 4):
        batch = causal.collate(encoded[first : first + 4], tokenizer.pad_token_id)
        loss, count = causal.answer_loss(adapted, {k: v.to(model.device) for k, v in batch.items()})
        (loss / count).backward()
    table.add("LoRA training, rank 16, batch 4", tokens / (time.perf_counter() - start), "tokens/s")


def _generation(table: Table, model: Any, tokenizer: Any) -> None:
    """Our token loop, alone and with four and eight answers side by side, beside transformers' ``generate`` with the
    same processors, all sampling."""
    ids = tokenizer("The harbour", return_tensors="pt").to(model.device)
    sampling = Sampling()

    def ours(answers: int = 1) -> None:
        batch = Batch(model)
        for number in range(answers):
            writing = Writing(
                tokenizer, sampling, ends=frozenset(), room=_TOKENS, temperature=0.3, seed=number, stop=(),
                emit=lambda piece: None, cancelled=lambda: False, device=model.device,
            )  # fmt: skip
            batch.add(writing, ids["input_ids"][0].tolist())
        while batch:
            batch.step()

    def theirs() -> None:
        model.generate(
            **ids, max_new_tokens=_TOKENS, min_new_tokens=_TOKENS, do_sample=True, temperature=0.3,
            top_p=sampling.top_p, top_k=0, repetition_penalty=sampling.repetition_penalty,
            no_repeat_ngram_size=sampling.no_repeat,
        )  # fmt: skip

    with torch.inference_mode():
        for name, write, answers in (
            ("generation, own token loop", ours, 1),
            ("generation, own token loop, 4 answers side by side", lambda: ours(4), 4),
            ("generation, own token loop, 8 answers side by side", lambda: ours(8), 8),
            ("generation, transformers' generate", theirs, 1),
        ):
            write()
            start = time.perf_counter()
            write()
            table.add(name, answers * _TOKENS / (time.perf_counter() - start), "tokens/s")
