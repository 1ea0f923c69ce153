"""Training, scoring and generation with the base model, in tokens a second."""

from __future__ import annotations

import time

import peft
import torch

from benchmarks.features import Bench
from benchmarks.table import Table
from twin_assets.dataset import instruct
from twin_resources.models import causal, hub
from twin_resources.rag import prompt


def measure(table: Table, bench: Bench) -> None:
    """Find and load the base model, then measure what it does on the author's own samples."""
    start = time.perf_counter()
    folder = hub.resolve(bench.settings.models.base, bench.settings)
    table.add(f"unpack or find {bench.settings.models.base}", time.perf_counter() - start, "s")
    start = time.perf_counter()
    model, tokenizer = causal.load_base(folder)
    table.add("load the base model", time.perf_counter() - start, "s")
    samples = instruct.build(bench.author.id, bench.warehouse.chunks.current(bench.author.id)).split("train")[:24]
    encoded = [
        causal.encode(
            tokenizer, prompt.render(tokenizer, prompt.messages(sample.instruction, author="Bench")), sample.answer, 256
        )
        for sample in samples
    ]
    tokens = sum(len(sample.ids) for sample in encoded)
    list(causal.losses(model, encoded[:2], tokenizer.pad_token_id))
    start = time.perf_counter()
    list(causal.losses(model, encoded, tokenizer.pad_token_id))
    table.add("loss on held-out answers", tokens / (time.perf_counter() - start), "tokens/s")
    ids = tokenizer("The harbour", return_tensors="pt").to(model.device)
    start = time.perf_counter()
    with torch.inference_mode():
        made = model.generate(**ids, max_new_tokens=48, min_new_tokens=48, do_sample=False)
    count = made.shape[1] - ids["input_ids"].shape[1]
    table.add("generation", count / (time.perf_counter() - start), "tokens/s")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapted.train()
    start = time.perf_counter()
    for first in range(0, len(encoded), 4):
        batch = causal.collate(encoded[first : first + 4], tokenizer.pad_token_id)
        loss, count = causal.answer_loss(adapted, {k: v.to(model.device) for k, v in batch.items()})
        (loss / count).backward()
    table.add("LoRA training, rank 16, batch 4", tokens / (time.perf_counter() - start), "tokens/s")
