"""``python -m benchmarks``: measures each room on one corpus and prints a Markdown table.

Uses ``../shared/data/authors/til`` (578 articles) where it is there, else the sample author. Everything happens in a
database and a home of its own that are removed at the end.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks import extraction, search
from benchmarks.collections import available
from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_assets.dataset import instruct, retrieval
from twin_resources import language_model, models, postgres
from twin_resources.embedder import Embedder, TokenCounter
from twin_resources.search import Options, Search
from twin_resources.settings import AuthorSettings, Settings
from twin_resources.sources import registry
from twin_resources.vectors import VectorIndex
from twin_resources.warehouse import Warehouse
from twin_serving import prompt
from twin_serving.citations import content_words
from twin_serving.rag import Rag

ROOT = Path(__file__).resolve().parents[1]
QUERIES = 100
console = Console(highlight=False)


class Table:
    """Rows of what was measured."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def add(self, what: str, figure: str) -> None:
        """Add a row and show it at once."""
        self.rows.append((what, figure))
        console.print(f"  {what:<58} {figure}", soft_wrap=True)

    def markdown(self) -> str:
        """All rows."""
        return "\n".join(
            ["| what | measured |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in self.rows)]
        )


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Seconds since the block began."""
    start = time.perf_counter()
    yield lambda: time.perf_counter() - start


def _settings(home: Path) -> tuple[Settings, AuthorSettings, str, str]:
    til = ROOT.parent / "shared" / "data" / "authors" / "til"
    kind, location = ("folder", str(til)) if til.is_dir() else ("medium_export", str(ROOT / "examples/sample/medium"))
    author = AuthorSettings(id="bench", name="Bench", consent="Measured only. 2026-11-21")
    packed = Settings().home / "models"
    if packed.is_dir():
        (home / "models").symlink_to(packed)
    return Settings(authors=(author,), home=home), author, kind, location


def features(
    table: Table, settings: Settings, author: AuthorSettings, kind: str, location: str, documents: int
) -> VectorIndex:
    """Collect, clean, chunk, embed, and each of them again with nothing new."""
    engine = postgres.engine(postgres.prepare(settings))
    warehouse = Warehouse(engine)
    warehouse.record_author(author)
    opened = registry()[kind](location, author.author)
    source_id = warehouse.remember_source(author.id, opened, {}, remembered=False)
    counter = TokenCounter.of(settings)
    chunker = chunker_id(settings.models.embedding, counter)
    index = VectorIndex(engine, settings.models.embedding)

    def collect() -> None:
        items = itertools.islice(opened.read(), documents)
        warehouse.collect(author.id, source_id, items, origin=opened.platform, name=location)

    for label in ("", ", nothing new"):
        with timed() as seconds:
            collect()
            count = warehouse.counts(author.id)["documents"]
            table.add(f"collect {count} documents{label}", f"{seconds():.2f} s")
        with timed() as seconds:
            take_snapshot(warehouse, author.author, "articles")
            table.add(f"clean{label}", f"{seconds():.2f} s")
        with timed() as seconds:
            cut_new(warehouse, author.id, "articles", counter, chunker)
            table.add(f"chunk into {warehouse.counts(author.id)['chunks']} passages{label}", f"{seconds():.2f} s")
    _embed(table, settings, index, author.id)
    return index


def _embed(table: Table, settings: Settings, index: VectorIndex, author_id: str) -> None:
    embedder = Embedder.of(settings)
    texts = [row["embedded_text"] for row in Warehouse(index.engine).chunks(author_id)]
    bare = embedder.model
    bare.encode(texts[:64], show_progress_bar=False)
    with timed() as seconds:
        bare.encode(texts, batch_size=32, show_progress_bar=False)
        plain = len(texts) / seconds()
    total = index.missing(author_id)
    with timed() as seconds:
        for batch in index.stream_missing(author_id):
            vectors = embedder.encode([text for _, text in batch])
            index.save(zip((key for key, _ in batch), vectors, strict=True), embedder.dimensions)
        rate = total / seconds()
    table.add("bare SentenceTransformer.encode", f"{plain:.1f} passages/s")
    table.add(f"embed and store {total} passages", f"{rate:.1f} passages/s, {rate / plain:.2f} of bare")
    with timed() as seconds:
        index.ensure_index()
        table.add("build the HNSW index", f"{seconds():.2f} s")
    with timed() as seconds:
        index.publish(author_id)
        table.add("serve them, with postings", f"{seconds():.2f} s")
    with timed() as seconds:
        assert index.missing(author_id) == 0
        index.publish(author_id)
        table.add("embed and serve, nothing new", f"{seconds():.2f} s")


def latency(table: Table, settings: Settings, index: VectorIndex, author_id: str) -> None:
    """Latency of each way of searching, without the HTTP layer."""
    embedder = Embedder.of(settings)
    found = Search(index.engine, index.model)
    chunks = Warehouse(index.engine).chunks(author_id)
    queries = [query.text for query in retrieval.build(author_id, chunks).queries][:QUERIES]
    took: dict[str, list[float]] = {"embed the query": [], "dense": [], "lexical": [], "hybrid": []}
    for query in queries:
        with timed() as seconds:
            vector = embedder.encode([query])[0]
            took["embed the query"].append(seconds() * 1000)
        for mode in ("dense", "lexical", "hybrid"):
            with timed() as seconds:
                found.find(author_id, query, vector, k=10, options=Options(mode))
                took[mode].append(seconds() * 1000)
    for name, values in took.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        table.add(f"search, {name}", f"p50 {statistics.median(values):.1f} ms, p95 {p95:.1f} ms")


def compression(table: Table, settings: Settings, index: VectorIndex, author_id: str) -> None:
    """Tokens that leaving out sentences saves, and how much of the author's own answer the context still holds."""
    rows = Warehouse(index.engine).chunks(author_id)
    samples = [sample for sample in instruct.build(author_id, rows).samples if len(sample.answer.split()) > 30][:60]
    embedder = Embedder.of(settings)
    whole = Rag(settings, index.engine, embedder)
    squeezed = Rag(
        settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"compress": True})}),
        index.engine,
        embedder,
    )
    tokens, support = {"whole": 0, "squeezed": 0}, {"whole": [], "squeezed": []}
    counter = TokenCounter.of(settings)
    for sample in samples:
        hits = whole.search(author_id, sample.instruction, k=6, rerank=False).hits
        wanted = content_words(sample.answer)
        for name, rag in (("whole", whole), ("squeezed", squeezed)):
            passages, _ = rag.context(hits, 10**6, question=sample.instruction)
            text = "\n".join(passage.text for passage in passages)
            tokens[name] += counter.count(text)
            support[name].append(len(wanted & content_words(text)) / max(1, len(wanted)))
    saved = 1 - tokens["squeezed"] / tokens["whole"]
    before, after = (statistics.fmean(support[name]) for name in ("whole", "squeezed"))
    table.add(
        f"compression over {len(samples)} questions",
        f"{saved:.1%} of tokens saved, support of the answer {before:.3f} to {after:.3f}",
    )


def language(table: Table, settings: Settings, index: VectorIndex, author_id: str) -> None:
    """Training, scoring and generation, in tokens a second."""
    import peft
    import torch

    with timed() as seconds:
        folder = models.resolve(settings.models.base, settings)
        table.add(f"unpack or find {settings.models.base}", f"{seconds():.1f} s")
    with timed() as seconds:
        model, tokenizer = language_model.load_base(folder)
        table.add("load it", f"{seconds():.1f} s")
    samples = instruct.build(author_id, Warehouse(index.engine).chunks(author_id)).split("train")[:24]
    encoded = [
        language_model.encode(
            tokenizer, prompt.render(tokenizer, prompt.messages(sample.instruction, author="Bench")), sample.answer, 256
        )
        for sample in samples
    ]
    tokens = sum(len(sample.ids) for sample in encoded)
    list(language_model.losses(model, encoded[:2], tokenizer.pad_token_id))
    with timed() as seconds:
        list(language_model.losses(model, encoded, tokenizer.pad_token_id))
        table.add("loss on held-out answers", f"{tokens / seconds():.0f} tokens/s")
    ids = tokenizer("The harbour", return_tensors="pt").to(model.device)
    with timed() as seconds, torch.inference_mode():
        made = model.generate(**ids, max_new_tokens=48, min_new_tokens=48, do_sample=False)
        table.add("generation", f"{(made.shape[1] - ids['input_ids'].shape[1]) / seconds():.1f} tokens/s")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapted.train()
    with timed() as seconds:
        for start in range(0, len(encoded), 4):
            batch = language_model.collate(encoded[start : start + 4], tokenizer.pad_token_id)
            loss, count = language_model.answer_loss(adapted, {k: v.to(model.device) for k, v in batch.items()})
            (loss / count).backward()
        table.add("LoRA training, rank 16, batch 4", f"{tokens / seconds():.0f} tokens/s")


def _search(table: Table, passages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        home = Path(name)
        try:
            search.quality(table.add, home)
            if passages and available():
                search.scale(table.add, home, passages)
        finally:
            postgres.stop(Settings(home=home))


def main() -> None:
    """Measure everything, or the parts named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=["extraction", "features", "search"], help="this part alone")
    parser.add_argument("--documents", type=int, default=150, help="documents to measure on")
    parser.add_argument("--passages", type=int, default=100_000, help="passages in the large index; 0 for none")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ.update(TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")
    table = Table()
    if chosen.only in (None, "extraction"):
        extraction.measure(table.add)
    if chosen.only in (None, "search"):
        _search(table, chosen.passages)
    if chosen.only in ("extraction", "search"):
        print(table.markdown())
        return
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        settings, author, kind, location = _settings(Path(name))
        try:
            index = features(table, settings, author, kind, location, chosen.documents)
            latency(table, settings, index, author.id)
            compression(table, settings, index, author.id)
            if chosen.only != "features":
                language(table, settings, index, author.id)
        finally:
            postgres.stop(settings)
    memory = psutil.Process().memory_info().rss / 1024**3
    table.add("resident memory at the end", f"{memory:.1f} GB")
    console.print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    print(table.markdown())


if __name__ == "__main__":
    main()
