"""Whether embedding takes the same memory for ten times as many passages."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from pathlib import Path

import sqlalchemy as sa

from benchmarks import made, memory
from benchmarks.collections import available
from benchmarks.table import Table
from twin_assets.embed.job import embed
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.vectors import VectorIndex

SIZES = (10_000, 100_000)
_WORDS = 12
_LONG = 512


def measure(table: Table, home: Path) -> None:
    """Peak memory and speed of the embedding job at each size, each in a process of its own.

    The passages are runs of twelve words of the judged collections, so that the larger size is done in minutes; the
    longest 512 are whole documents, which decide how much memory a batch takes.
    """
    found = available()
    if not found:
        table.note("embedding at size: not measured, the judged collections are not here")
        return
    documents = [document["text"] for collection in found for document in collection.documents]
    for size in SIZES:
        settings = Settings(authors=(made.AUTHOR,), home=home / str(size))
        engine = postgres.engine(postgres.prepare(settings.postgres))
        try:
            _fill(engine, documents, size)
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                count, seconds, loaded, peak = pool.apply(_embed, (settings.home,))
            assert count == size, f"{count} of {size} passages were embedded"
            table.add(f"embed {size:,} passages", size / seconds, "passages/s")
            table.add(f"embed {size:,} passages: memory with the model loaded", loaded, "MB")
            table.add(f"embed {size:,} passages: peak memory", peak, "MB")
        finally:
            engine.dispose()
            postgres.stop(settings.postgres)


def _fill(engine: sa.Engine, documents: list[str], size: int) -> None:
    words = " ".join(documents).split()
    longest = sorted(documents, key=len, reverse=True)[:_LONG]
    step = max(1, (len(words) - _WORDS) // (size - len(longest)))
    runs = (" ".join(words[start : start + _WORDS]) for start in range(0, len(words), step))
    texts = itertools.islice(itertools.chain(longest, runs), size)
    made.store_document(engine)
    made.store(engine, ((number, text, "web") for number, text in enumerate(texts)))


def _embed(home: Path) -> tuple[int, float, float, float]:
    """Texts embedded, seconds, and the process's peak memory before and after in MB."""
    settings = Settings(authors=(made.AUTHOR,), home=home)
    engine = postgres.engine(postgres.databases(settings.postgres))
    embedder = Embedder.of(settings)
    embedder.encode(["warm up"])
    loaded = memory.peak()
    start = time.perf_counter()
    count = embed(VectorIndex(engine, settings.models.embedding), embedder, made.AUTHOR.id)
    return count, time.perf_counter() - start, loaded, memory.peak()
