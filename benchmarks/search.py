"""How good and how fast search is: judged collections through the real ``/search``, and many passages in one index."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import sqlalchemy as sa
import uvicorn

from benchmarks import corpus, made
from benchmarks.collections import Collection, available, ndcg, recall
from benchmarks.table import Table
from twin_assets.embed.job import embed
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.database import postgres, schema
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Filters, Search
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.registry import registry
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.engine import make_generator
from twin_serving.api.app import create_app, keep
from twin_serving.processes.servers import FRUGAL

WAYS: dict[str, dict[str, Any]] = {
    "dense": {"mode": "dense", "expand": False, "rerank": False},
    "lexical": {"mode": "lexical", "expand": False, "rerank": False},
    "hybrid": {"mode": "hybrid", "expand": False, "rerank": False},
    "hybrid + expansion": {"mode": "hybrid", "expand": True, "rerank": False},
}
SHARES = {"half": 2, "twentieth": 20, "hundredth": 100, "thousandth": 1000}
_NEIGHBOURS = 16
_NOISE = 0.5
_BATCH = 20_000


def quality(table: Table, home: Path) -> None:
    """nDCG@10 and recall@100 of every way of searching, on each collection, through ``/search`` over HTTP."""
    found = available()
    if not found:
        table.note("search quality: not measured, the judged collections are not here")
        return
    authors = tuple(corpus.author(collection.name) for collection in found)
    settings = Settings(authors=authors, home=home)
    engine = postgres.engine(postgres.prepare(settings.postgres))
    embedder = Embedder.of(settings)
    for collection, author in zip(found, authors, strict=True):
        passages = Warehouse(engine).counts(author.id)["chunks"] or _fill(
            engine, settings, embedder, collection, author
        )
        table.add(f"{collection.name}: {len(collection.documents)} documents", passages, "passages")
    with served(settings) as client:
        for collection in found:
            for way, options in WAYS.items():
                scores, recalls = [], []
                for text, gains in collection.queries:
                    body = {"query": text, "author": collection.name, "k": 100, **options}
                    answer = client.post("/search", json=body)
                    answer.raise_for_status()
                    ranking = list(dict.fromkeys(hit["url"] for hit in answer.json()["results"]))
                    scores.append(ndcg(ranking, gains))
                    recalls.append(recall(ranking, gains))
                table.add(f"{collection.name}: {way}", statistics.fmean(scores), "nDCG@10")
                table.add(f"{collection.name}: {way}, recall", statistics.fmean(recalls), "recall@100")


def scale(table: Table, home: Path, count: int) -> None:
    """Recall against exact search, latency, size and build time at ``count`` passages.

    A home that holds them already, from a run before, is used as it is.
    """
    settings = Settings(authors=(made.AUTHOR,), home=home)
    engine = postgres.engine(postgres.prepare(settings.postgres))
    seeds = _seeds(engine)
    enlarged = np.concatenate([batch.vectors for batch in _enlarged(seeds, count)])
    if Warehouse(engine).counts(made.AUTHOR.id)["chunks"] != count:
        _load(table, engine, settings, seeds, count)
    _sizes(table, engine, count)
    questions = [text for collection in available() for text, _ in collection.queries]
    asked = Embedder.of(settings).encode_questions(questions[:: max(1, len(questions) // 120)])
    search = Search(engine, settings.models.embedding)
    _recall(table, search, enlarged, asked, count)
    _filters(table, search, enlarged, asked, count)
    _latency(table, settings, questions, count)


def _load(table: Table, engine: sa.Engine, settings: Settings, seeds: _Seeds, count: int) -> None:
    """Load the passages as at a first run: vectors before their index."""
    _drop_indexes(engine)
    index = VectorIndex(engine, settings.models.embedding)
    start = time.perf_counter()
    made.store_document(engine)
    for batch in _enlarged(seeds, count):
        _store(engine, index, seeds, batch)
    table.add(f"{count:,} passages: load", time.perf_counter() - start, "s")
    start = time.perf_counter()
    index.ensure_index()
    table.add(f"{count:,} passages: build the HNSW index", time.perf_counter() - start, "s")
    start = time.perf_counter()
    index.publish(made.AUTHOR.id)
    table.add(f"{count:,} passages: serve them, with postings", time.perf_counter() - start, "s")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        session.exec_driver_sql("VACUUM ANALYZE")


def _sizes(table: Table, engine: sa.Engine, count: int) -> None:
    with engine.connect() as session:
        for name, what in (
            ("vectors", "pg_table_size('embedding')"),
            ("HNSW index", "(SELECT sum(pg_relation_size(indexrelid)) FROM pg_index JOIN pg_class ON oid = indexrelid "
             "WHERE relname LIKE 'hnsw%')"),
            ("postings", "pg_total_relation_size('posting') + pg_total_relation_size('lexical_member')"),
            ("passages", "pg_total_relation_size('chunk')"),
        ):  # fmt: skip
            size = session.scalar(sa.text(f"SELECT {what}")) or 0
            table.add(f"{count:,} passages: {name}", float(size) / 2**20, "MB")
            table.add(f"{count:,} passages: {name}, each", float(size) / count, "bytes")


def _drop_indexes(engine: sa.Engine) -> None:
    """So that many vectors are loaded as at a first run: before their index."""
    with engine.begin() as session:
        for name in session.scalars(sa.text("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'hnsw%'")).all():
            session.exec_driver_sql(f"DROP INDEX {name}")


def _fill(engine: sa.Engine, settings: Settings, embedder: Embedder, collection: Collection, of: AuthorSettings) -> int:
    path = settings.home / f"{collection.name}.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in collection.documents), encoding="utf-8")
    source = registry()["jsonl"](str(path), of.author)
    corpus.take(engine, settings, of, source, source.read())
    index = VectorIndex(engine, settings.models.embedding)
    embed(index, embedder, of.id)
    index.ensure_index()
    index.publish(of.id)
    return Warehouse(engine).counts(of.id)["chunks"]


@contextmanager
def served(settings: Settings, *, engine: bool = False) -> Iterator[httpx.Client]:
    """A client of the API, which runs in a process of its own on a free port of this machine.

    Args:
        engine: whether it answers with the engine of the settings; else it only searches.
    """
    for name, value in FRUGAL.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(settings, theirs, engine), daemon=True)
    process.start()
    try:
        if not ours.poll(120):
            raise SystemExit("the API did not start")
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        with httpx.Client(base_url=f"http://127.0.0.1:{ours.recv()}", timeout=120, limits=limits) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.2)
            yield client
    finally:
        process.terminate()
        process.join(30)


def _serve(settings: Settings, pipe: Connection, engine: bool) -> None:
    logging.disable(logging.WARNING)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        pipe.send(listening.getsockname()[1])
        app = create_app(settings, make_generator if engine else None, settled=keep)
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])


@dataclass(frozen=True)
class _Seeds:
    """Real passages: their texts, their unit vectors, and for each the indices of its nearest neighbours."""

    texts: Sequence[str]
    vectors: np.ndarray
    neighbours: np.ndarray


@dataclass(frozen=True)
class _Batch:
    """Passages made from real ones: the numbers of the first, of each the two it is made from, and its vector."""

    start: int
    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray


def _seeds(engine: sa.Engine) -> _Seeds:
    """What :func:`quality` stored."""
    query = (
        sa.select(schema.chunk.c.text, schema.embedding.c.vector)
        .join(schema.embedding, schema.embedding.c.text_hash == schema.chunk.c.text_hash)
        .where(schema.chunk.c.served, schema.chunk.c.author != made.AUTHOR.id)
        .order_by(schema.chunk.c.id)
    )
    with engine.connect() as session:
        rows = session.execute(query).all()
    if not rows:
        raise SystemExit("measure search quality first: its passages are what the large index is made of")
    vectors = np.array([row.vector for row in rows], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbours = np.empty((len(vectors), _NEIGHBOURS), np.int64)
    for start in range(0, len(vectors), 1000):
        scores = vectors[start : start + 1000] @ vectors.T
        neighbours[start : start + 1000] = np.argsort(-scores, axis=1)[:, 1 : _NEIGHBOURS + 1]
    return _Seeds([row.text for row in rows], vectors, neighbours)


def _enlarged(seeds: _Seeds, count: int) -> Iterator[_Batch]:
    """``count`` passages that are like the real ones.

    A new vector is a mixture of a real one and two of its nearest neighbours, with noise; its text joins halves of two
    of the three real texts. The noise is such that many passages lie as near to each other as the trend of samples of
    the real ones (428 to 6,846) foretells: at 100,000 the median distance to the tenth neighbour is 0.81.
    """
    generator = np.random.default_rng(7)
    real, dimensions = seeds.vectors, seeds.vectors.shape[1]
    for start in range(0, count, _BATCH):
        size = min(_BATCH, count - start)
        first = generator.integers(0, len(real), size)
        second, third = (seeds.neighbours[first, generator.integers(0, _NEIGHBOURS, size)] for _ in range(2))
        shares = generator.dirichlet(np.ones(3), size).astype(np.float32)
        mixed = generator.normal(0, _NOISE / np.sqrt(dimensions), (size, dimensions)).astype(np.float32)
        for place, chosen in enumerate((first, second, third)):
            mixed += shares[:, place : place + 1] * real[chosen]
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        yield _Batch(start, first, second, mixed.astype(np.float16))


def _store(engine: sa.Engine, index: VectorIndex, seeds: _Seeds, batch: _Batch) -> None:
    passages = []
    for offset, (first, second) in enumerate(zip(batch.first, batch.second, strict=True)):
        number = batch.start + offset
        one, two = seeds.texts[first], seeds.texts[second]
        passages.append((number, f"{one[: len(one) // 2]} {two[len(two) // 2 :]}", _platform(number)))
    made.store(engine, passages)
    keys = (made.key(number) for number, _, _ in passages)
    index.save(zip(keys, batch.vectors, strict=True), seeds.vectors.shape[1])


def _platform(number: int) -> str:
    """A platform that one in 1000, 100, 20 or 2 has, and another for the rest."""
    mixed = (number * 2_654_435_761) % 2**32 / 2**32
    edge = 0.0
    for name, one_in in reversed(SHARES.items()):
        edge += 1 / one_in
        if mixed < edge:
            return name
    return "rest"


def _exact(enlarged: np.ndarray, vector: np.ndarray, kept: np.ndarray | None, depth: int) -> set[str]:
    scores = np.concatenate(
        [enlarged[start : start + 100_000].astype(np.float32) @ vector for start in range(0, len(enlarged), 100_000)]
    )
    if kept is not None:
        scores = np.where(kept, scores, -np.inf)
    return {made.key(number) for number in np.argsort(-scores)[:depth]}


def _recall(table: Table, search: Search, enlarged: np.ndarray, asked: np.ndarray, count: int) -> None:
    shares, took = [], []
    for vector in asked:
        with search.engine.begin() as session:
            scope = search.index.scope(session, made.AUTHOR.id, [])
            start = time.perf_counter()
            found = search.index.nearest(session, vector, 10, scope)
            took.append((time.perf_counter() - start) * 1000)
        shares.append(len(_exact(enlarged, vector, None, 10) & {key for key, _ in found}) / 10)
    table.add(f"{count:,} passages: nearest 10 against exact search", statistics.fmean(shares), "recall@10")
    table.spread(f"{count:,} passages: nearest 10", took)


def _filters(table: Table, search: Search, enlarged: np.ndarray, asked: np.ndarray, count: int) -> None:
    platforms = np.array([_platform(number) for number in range(count)])
    for name, one_in in SHARES.items():
        kept = platforms == name
        conditions = Filters(platform=[name]).clauses()
        took, full, shares = [], 0, []
        for vector in asked[:60]:
            with search.engine.begin() as session:
                start = time.perf_counter()
                scope = search.index.scope(session, made.AUTHOR.id, conditions)
                found = search.index.nearest(session, vector, 10, scope)
                took.append((time.perf_counter() - start) * 1000)
            full += len(found) == min(10, int(kept.sum()))
            wanted = _exact(enlarged, vector, kept, 10)
            shares.append(len(wanted & {key for key, _ in found}) / len(wanted))
        what = f"{count:,} passages, a filter keeps one in {one_in}"
        table.add(f"{what}: searches with all 10 results", full / len(took), "share")
        table.add(what, statistics.fmean(shares), "recall@10")
        table.spread(what, took)


def _latency(table: Table, settings: Settings, queries: Sequence[str], count: int) -> None:
    """How long a search takes for one client and for sixteen; each question is asked once, as vectors are kept."""
    with served(settings) as client:
        for clients, first in ((1, 20), (16, 21)):
            times: dict[str, list[float]] = {}
            lock = threading.Lock()

            def ask(text: str, times: dict[str, list[float]] = times, lock: threading.Lock = lock) -> None:
                body = {"query": text, "author": made.AUTHOR.id, "k": 10, "rerank": False}
                start = time.perf_counter()
                answer = client.post("/search", json=body)
                took = (time.perf_counter() - start) * 1000
                answer.raise_for_status()
                parts = answer.json()["timings_ms"]
                with lock:
                    for name, value in parts.items():
                        times.setdefault(name, []).append(value)
                    times.setdefault("all but the model", []).append(parts["total"] - parts["embed"])
                    times.setdefault("over HTTP", []).append(took)

            if clients == 1:
                for text in queries[:20]:
                    ask(text, {}, threading.Lock())
            asked = queries[first::2]
            began = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(ask, asked))
            rate = len(asked) / (time.perf_counter() - began)
            what = f"{count:,} passages, {clients} client{'s' * (clients > 1)}"
            table.add(f"{what}: searches", rate, "searches/s")
            for name, values in times.items():
                table.spread(f"{what}: {name}", values)
