"""What the embedded engine writes for several readers at once, through the API, beside ``generate`` one by one.

    python -m benchmarks.writers --seconds 60

The packaged base model answers without passages, so that its writing is what is measured. Each reader asks again as
soon as an answer is complete, of at most 48 tokens. What transformers' ``generate`` makes of the same prompts
with the same way of choosing tokens, one after the other, is measured first, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx

from benchmarks import load
from benchmarks.search import served
from benchmarks.table import Table, machine, p95
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.generation.decoding import Sampling
from twin_resources.models import causal, hub
from twin_resources.rag import prompt

READERS = (1, 4, 8)
TOKENS = 48
TEMPERATURE = 0.3
_SUBJECTS = ("tides", "pipelines", "lighthouses", "embeddings", "ferries", "versions", "harbours", "questions")


def asked() -> Iterator[str]:
    """What the readers ask, without end."""
    return (f"Say in some sentences what you think of {subject}." for subject in itertools.cycle(_SUBJECTS))


@dataclass
class Read:
    """What readers got: milliseconds to the first piece of an answer, where they saw it, how many answers, tokens of
    all of them, and the time it took."""

    first: list[float] = field(default_factory=list)
    answers: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds

    async def one(self, client: httpx.AsyncClient, question: str) -> None:
        """Read an answer to its end."""
        body = {
            "model": f"twin/{load.AUTHOR.id}",
            "messages": [{"role": "user", "content": question}],
            "use_rag": False,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": TOKENS,
            "temperature": TEMPERATURE,
        }
        start, first = time.perf_counter(), None
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                piece = json.loads(line.removeprefix("data: "))
                if first is None and piece["choices"] and piece["choices"][0]["delta"].get("content"):
                    first = (time.perf_counter() - start) * 1000
                if usage := piece.get("usage"):
                    self.tokens += usage["completion_tokens"]
        self.answers += 1
        if first is not None:
            self.first.append(first)


async def _reading(url: str, readers: int, seconds: float) -> Read:
    found, questions, start = Read(), asked(), time.perf_counter()

    async def read(client: httpx.AsyncClient) -> None:
        while time.perf_counter() - start < seconds:
            await found.one(client, next(questions))

    async with httpx.AsyncClient(base_url=url, timeout=300) as client, asyncio.TaskGroup() as tasks:
        for _ in range(readers):
            tasks.create_task(read(client))
    found.seconds = time.perf_counter() - start
    return found


def _one_by_one(settings: Settings, seconds: float) -> Read:
    """What ``generate`` makes of the same prompts."""
    import torch

    model, tokenizer = causal.load_base(hub.resolve(settings.models.base, settings))
    found, sampling = Read(), Sampling()
    start = time.perf_counter()
    with torch.inference_mode():
        for question in asked():
            turns = prompt.messages(question, author=load.AUTHOR.name)
            ids = tokenizer(prompt.render(tokenizer, turns), return_tensors="pt", add_special_tokens=False)
            made = model.generate(
                **ids.to(model.device), max_new_tokens=TOKENS, do_sample=True, temperature=TEMPERATURE,
                top_p=sampling.top_p, top_k=0, repetition_penalty=sampling.repetition_penalty,
                no_repeat_ngram_size=sampling.no_repeat,
            )  # fmt: skip
            found.tokens += made.shape[1] - ids["input_ids"].shape[1]
            found.answers += 1
            if time.perf_counter() - start >= seconds:
                break
    found.seconds = time.perf_counter() - start
    return found


def measure(table: Table, home: Path, seconds: float) -> None:
    """``generate``, then each number of readers."""
    settings, database = load.prepared(home)
    database.dispose()
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            alone = pool.submit(_one_by_one, settings, seconds).result()
        table.add("generate, one by one: tokens", alone.rate, "tokens/s")
        table.add("generate, one by one: answers", alone.answers / alone.seconds, "answers/s")
        with served(settings, engine=True) as client:
            while client.post("/ask", json={"query": "Ready?", "mode": "write", "max_tokens": 1}).status_code != 200:
                time.sleep(0.5)
            for readers in READERS:
                found = asyncio.run(_reading(str(client.base_url), readers, seconds))
                what = f"{readers} reader{'s' * (readers > 1)}"
                table.add(f"{what}: tokens", found.rate, "tokens/s")
                table.add(f"{what}: tokens, by those of generate", found.rate / alone.rate, "times")
                table.add(f"{what}: answers", found.answers / found.seconds, "answers/s")
                table.add(f"{what}: first piece, p50", median(found.first), "ms")
                table.add(f"{what}: first piece, p95", p95(found.first), "ms")
    finally:
        postgres.stop(settings.postgres)


def main() -> None:
    """Measure for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each turn")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    table = Table()
    with tempfile.TemporaryDirectory(prefix="twin-writers-") as home:
        measure(table, Path(home), chosen.seconds)
    print(f"\n{machine()}\n\n{table.markdown()}")


if __name__ == "__main__":
    main()
