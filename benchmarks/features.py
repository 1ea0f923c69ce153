"""What the feature pipeline takes on one author's corpus: the first time, with nothing new, after one edit."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus
from benchmarks.table import Table
from twin_assets.dataset import instruct
from twin_assets.dataset.generators import retrieval
from twin_assets.embed.job import embed
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.database import postgres
from twin_resources.rag.pipeline import Rag
from twin_resources.retrieval.embedder import Embedder, TokenCounter
from twin_resources.retrieval.search import Options, Search
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.base import RawDocument, Source
from twin_resources.sources.registry import registry
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.words import content_words

ROOT = Path(__file__).resolve().parents[1]
QUERIES = 100


@dataclass(frozen=True)
class Bench:
    """A database with one author and a source of documents."""

    settings: Settings
    author: AuthorSettings
    source: Source
    warehouse: Warehouse
    index: VectorIndex

    @classmethod
    def open(cls, home: Path) -> Bench:
        """A new database under ``home``; the models that are unpacked already are used."""
        til = ROOT.parent / "shared" / "data" / "authors" / "til"
        kind, location = ("folder", til) if til.is_dir() else ("medium_export", ROOT / "examples/sample/medium")
        author = corpus.author("bench", "Mira Solberg")
        packed = Settings().home / "models"
        home.mkdir(parents=True, exist_ok=True)
        if packed.is_dir():
            (home / "models").symlink_to(packed.resolve())
        settings = Settings(authors=(author,), home=home)
        engine = postgres.engine(postgres.prepare(settings.postgres))
        source = registry()[kind](str(location), author.author)
        return cls(settings, author, source, Warehouse(engine), VectorIndex(engine, settings.models.embedding))

    def documents(self, count: int) -> list[RawDocument]:
        """The first documents of the source."""
        items = (item for item in self.source.read() if isinstance(item, RawDocument))
        return list(itertools.islice(items, count))

    def take(self, items: Iterable[RawDocument]) -> None:
        """Store documents, clean and cut them, as the assets do."""
        corpus.take(self.index.engine, self.settings, self.author, self.source, items)


def measure(table: Table, bench: Bench, documents: int) -> None:
    """The whole way from documents to passages that search finds, and what leaving out sentences does."""
    items = bench.documents(documents)
    embedder = Embedder.of(bench.settings)
    name = f"{len(items)} documents"
    _timed(table, f"{name}: collect, clean, cut", lambda: bench.take(items))
    _embed(table, bench, embedder, name)

    def again() -> None:
        bench.take(items)
        assert _serve(bench, embedder) == 0

    _timed(table, f"{name}: everything again, nothing new", again)
    _timed(table, f"{name}: embed and serve, nothing new", lambda: _serve(bench, embedder))
    middle = len(items) // 2
    items[middle] = dataclasses.replace(items[middle], body=f"{items[middle].body}\n\nOne more sentence at its end.")
    before = bench.warehouse.counts(bench.author.id)["chunks"]
    start = time.perf_counter()
    bench.take(items)
    table.add(f"{name}, one edited", _serve(bench, embedder), "passages embedded")
    table.add(f"{name}, one edited: collect to serve", time.perf_counter() - start, "s")
    table.add(f"{name}: passages", before, "passages")
    _latency(table, bench, embedder, name)
    _compression(table, bench, embedder, name)


def _timed(table: Table, what: str, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    table.add(what, time.perf_counter() - start, "s")


def _serve(bench: Bench, embedder: Embedder) -> int:
    """Embed what is missing and let search find it; how many were embedded."""
    embedded = embed(bench.index, embedder, bench.author.id)
    bench.index.publish(bench.author.id)
    return embedded


def _embed(table: Table, bench: Bench, embedder: Embedder, name: str) -> None:
    texts = [each.embedded_text for each in bench.warehouse.chunks.current(bench.author.id)]
    embedder.model.encode(texts[:64], show_progress_bar=False)
    start = time.perf_counter()
    embedder.model.encode(texts, batch_size=32, show_progress_bar=False)
    plain = len(texts) / (time.perf_counter() - start)
    start = time.perf_counter()
    count = embed(bench.index, embedder, bench.author.id)
    rate = count / (time.perf_counter() - start)
    table.add(f"{name}: bare SentenceTransformer.encode", plain, "passages/s")
    table.add(f"{name}: embed and store {count} passages", rate, "passages/s")
    table.add(f"{name}: embed and store, of the bare rate", rate / plain, "of 1")
    _timed(table, f"{name}: build the HNSW index", bench.index.ensure_index)
    _timed(table, f"{name}: serve them, with postings", lambda: bench.index.publish(bench.author.id))


def _latency(table: Table, bench: Bench, embedder: Embedder, name: str) -> None:
    """Latency of each way of searching, without the HTTP layer."""
    found = Search(bench.index.engine, bench.index.model)
    chunks = bench.warehouse.chunks.current(bench.author.id)
    queries = [query.text for query in retrieval.build(bench.author.id, chunks).queries][:QUERIES]
    took: dict[str, list[float]] = {"embed the query": [], "dense": [], "lexical": [], "hybrid": []}
    for query in queries:
        start = time.perf_counter()
        vector = embedder.encode_questions([query])[0]
        took["embed the query"].append((time.perf_counter() - start) * 1000)
        for mode in ("dense", "lexical", "hybrid"):
            start = time.perf_counter()
            found.find(bench.author.id, query, vector, k=10, options=Options(mode))
            took[mode].append((time.perf_counter() - start) * 1000)
    for way, values in took.items():
        table.spread(f"{name}: search, {way}", values)


def _compression(table: Table, bench: Bench, embedder: Embedder, name: str) -> None:
    """Tokens that leaving out sentences saves, and how much of the author's own answer the context still holds."""
    built = instruct.build(bench.author.id, bench.warehouse.chunks.current(bench.author.id)).samples
    samples = [sample for sample in built if len(sample.answer.split()) > 30][:60]
    settings, engine = bench.settings, bench.index.engine
    squeezing = settings.retrieval.model_copy(update={"compress": True})
    whole = Rag(settings, engine, embedder)
    squeezed = Rag(settings.model_copy(update={"retrieval": squeezing}), engine, embedder)
    tokens, support = {"whole": 0, "squeezed": 0}, {"whole": [], "squeezed": []}
    counter = TokenCounter.of(settings)
    for sample in samples:
        hits = whole.search(bench.author.id, sample.instruction, k=6, rerank=False).hits
        wanted = content_words(sample.answer)
        for way, rag in (("whole", whole), ("squeezed", squeezed)):
            passages = rag.context(hits, 10**6, question=sample.instruction)
            text = "\n".join(passage.text for passage in passages)
            tokens[way] += counter.count(text)
            support[way].append(len(wanted & content_words(text)) / max(1, len(wanted)))
    saved = 1 - tokens["squeezed"] / tokens["whole"]
    table.add(f"{name}: compression, {len(samples)} questions: tokens saved", saved, "share")
    for way, values in support.items():
        table.add(f"{name}: compression: support of the answer, {way}", statistics.fmean(values), "share")
