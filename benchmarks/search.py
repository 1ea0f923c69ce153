"""How good and how fast search is: judged collections through the real ``/search``, and many passages in one index."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import sqlalchemy as sa
import uvicorn

from benchmarks.collections import Collection, available, ndcg, recall
from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_resources import postgres, schema
from twin_resources.embedder import Embedder, TokenCounter
from twin_resources.search import Filters, Options, Search
from twin_resources.settings import AuthorSettings, Settings
from twin_resources.sources import registry
from twin_resources.vectors import VectorIndex
from twin_resources.warehouse import Warehouse
from twin_serving.app import create_app

Add = Callable[[str, str], None]
WAYS: dict[str, dict[str, Any]] = {
    "dense": {"mode": "dense", "expand": False, "rerank": False},
    "lexical": {"mode": "lexical", "expand": False, "rerank": False},
    "hybrid": {"mode": "hybrid", "expand": False, "rerank": False},
    "hybrid + expansion": {"mode": "hybrid", "expand": True, "rerank": False},
}
SHARES = {"half": 2, "twentieth": 20, "hundredth": 100, "thousandth": 1000}
_NEIGHBOURS = 8
_BATCH = 20_000


def quality(add: Add, home: Path) -> None:
    """nDCG@10 and recall@100 of every way of searching, on each collection, through ``/search`` over HTTP."""
    found = available()
    if not found:
        add("search quality", "not measured: the judged collections are not here")
        return
    authors = tuple(_author(collection.name) for collection in found)
    settings = Settings(authors=authors, home=home)
    engine = postgres.engine(postgres.prepare(settings))
    embedder = Embedder.of(settings)
    for collection, author in zip(found, authors, strict=True):
        passages = _fill(engine, settings, embedder, collection, author, home)
        add(f"{collection.name}: documents, passages", f"{len(collection.documents)}, {passages}")
    with served(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
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
                add(
                    f"{collection.name}: {way}, nDCG@10 / recall@100",
                    f"{statistics.fmean(scores):.4f} / {statistics.fmean(recalls):.3f}",
                )


def scale(add: Add, home: Path, count: int) -> None:
    """Recall against exact search, latency, size and build time at ``count`` passages."""
    settings = Settings(authors=(_author("scale"),), home=home)
    engine = postgres.engine(postgres.prepare(settings))
    texts, vectors, queries, asked = _seed(engine, settings)
    index = VectorIndex(engine, settings.models.embedding)
    _drop_indexes(engine)
    start = time.perf_counter()
    enlarged = _enlarge(engine, index, texts, vectors, count)
    add(f"{count:,} passages: load", f"{time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    index.ensure_index()
    add(f"{count:,} passages: build the HNSW index", f"{time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    index.publish("scale")
    add(f"{count:,} passages: serve them, with postings", f"{time.perf_counter() - start:.0f} s")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        session.exec_driver_sql("VACUUM ANALYZE")
        for name, what in (
            ("vectors", "pg_table_size('embedding')"),
            ("HNSW index", "(SELECT sum(pg_relation_size(indexrelid)) FROM pg_index JOIN pg_class ON oid = indexrelid "
             "WHERE relname LIKE 'hnsw%')"),
            ("postings", "pg_total_relation_size('posting') + pg_total_relation_size('lexical_member')"),
            ("passages", "pg_total_relation_size('chunk')"),
        ):  # fmt: skip
            size = session.scalar(sa.text(f"SELECT {what}")) or 0
            add(f"{count:,} passages: {name}", f"{float(size) / 2**20:,.0f} MB, {float(size) / count:,.0f} bytes each")
    search = Search(engine, settings.models.embedding)
    _recall(add, search, enlarged, asked, count)
    _filters(add, search, enlarged, asked, count)
    _latency(add, settings, queries, count)


def _drop_indexes(engine: sa.Engine) -> None:
    """So that many vectors are loaded as at a first run: before their index."""
    with engine.begin() as session:
        for name in session.scalars(sa.text("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'hnsw%'")).all():
            session.exec_driver_sql(f"DROP INDEX {name}")


def _author(name: str) -> AuthorSettings:
    return AuthorSettings(id=name, name=name.title(), consent="Measured only. 2026-11-21")


def _fill(
    engine: sa.Engine,
    settings: Settings,
    embedder: Embedder,
    collection: Collection,
    author: AuthorSettings,
    home: Path,
) -> int:
    path = home / f"{collection.name}.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in collection.documents), encoding="utf-8")
    warehouse = Warehouse(engine)
    warehouse.record_author(author)
    opened = registry()["jsonl"](str(path), author.author)
    source_id = warehouse.remember_source(author.id, opened, {}, remembered=False)
    warehouse.collect(author.id, source_id, opened.read(), origin=opened.platform, name=path.name)
    take_snapshot(warehouse, author.author, "articles")
    counter = TokenCounter.of(settings)
    cut_new(warehouse, author.id, "articles", counter, chunker_id(settings.models.embedding, counter))
    index = VectorIndex(engine, settings.models.embedding)
    for batch in index.stream_missing(author.id):
        vectors = embedder.encode([text for _, text in batch])
        index.save(zip((key for key, _ in batch), vectors, strict=True), embedder.dimensions)
    index.ensure_index()
    index.publish(author.id)
    return warehouse.counts(author.id)["chunks"]


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The API on a free port of this machine, without an engine."""
    app = create_app(settings, None)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        while httpx.get(f"{url}/readyz").status_code != 200:
            time.sleep(0.2)
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def _seed(engine: sa.Engine, settings: Settings) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Real passages with their vectors, and real questions with theirs, from what :func:`quality` stored."""
    query = (
        sa.select(schema.chunk.c.text, schema.embedding.c.vector)
        .join(schema.embedding, schema.embedding.c.text_hash == schema.chunk.c.text_hash)
        .where(schema.chunk.c.served)
        .order_by(schema.chunk.c.id)
    )
    with engine.connect() as session:
        rows = session.execute(query).all()
    if not rows:
        raise SystemExit("measure search quality first: its passages are what the large index is made of")
    vectors = np.array([row.vector for row in rows], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    questions = [text for collection in available() for text, _ in collection.queries]
    chosen = questions[:: max(1, len(questions) // 120)]
    return [row.text for row in rows], vectors, chosen, Embedder.of(settings).encode(chosen)


def _enlarge(
    engine: sa.Engine, index: VectorIndex, texts: Sequence[str], vectors: np.ndarray, count: int
) -> np.ndarray:
    """``count`` passages that are like the real ones.

    A new vector lies between a real one and one of its nearest neighbours, with noise, so the cloud keeps its clusters
    and density varies as it does in the real one; its text joins halves of the two real texts.
    """
    generator = np.random.default_rng(7)
    neighbours = _nearest(vectors)
    dimensions = vectors.shape[1]
    made = np.empty((count, dimensions), np.float16)
    warehouse = Warehouse(engine)
    warehouse.record_author(_author("scale"))
    with engine.begin() as session:
        source = {
            "id": "scale",
            "author": "scale",
            "kind": "jsonl",
            "origin": "jsonl",
            "location": "scale",
            "options": {},
            "remembered": False,
        }
        session.execute(sa.insert(schema.source).values(source))
        document = {"id": "scale", "author": "scale", "url": "https://scale.example/", "platform": "web"}
        session.execute(sa.insert(schema.document).values(document | {"origin": "jsonl", "category": "articles"}))
        session.execute(
            sa.insert(schema.clean_document).values(
                id="scale",
                author="scale",
                document_id="scale",
                version_id="scale",
                cleaner="bench",
                category="articles",
                platform="web",
                url="https://scale.example/",
                title="Scale",
                text="",
                content_hash="",
                words=0,
                kept_share=1.0,
                attributes={},
                removed={},
            )
        )
    columns = [
        "id", "author", "document_id", "clean_document_id", "category", "platform", "url", "title", "heading",
        "position", "start", "end", "text", "tokens", "embedded_text", "text_hash", "chunker", "language", "current",
    ]  # fmt: skip
    for start in range(0, count, _BATCH):
        size = min(_BATCH, count - start)
        first = generator.integers(0, len(vectors), size)
        second = neighbours[first, generator.integers(0, _NEIGHBOURS, size)]
        share = generator.uniform(0, 1, (size, 1)).astype(np.float32)
        noise = generator.normal(0, 0.25 / np.sqrt(dimensions), (size, dimensions)).astype(np.float32)
        mixed = share * vectors[first] + (1 - share) * vectors[second] + noise
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        made[start : start + size] = mixed
        rows = []
        for offset in range(size):
            number = start + offset
            one, two = texts[first[offset]], texts[second[offset]]
            text = f"{one[: len(one) // 2]} {two[len(two) // 2 :]}"
            key = f"s{number:08}"
            rows.append(
                (
                    key, "scale", "scale", "scale", "articles", _platform(number), f"https://scale.example/{number}",
                    "Scale", [], number, 0, len(text), text, 100, text, key, "bench", "en", True,
                )
            )  # fmt: skip
        with engine.begin() as session:
            postgres.copy_upsert(session, schema.chunk, columns, rows)
        index.save(((f"s{start + offset:08}", mixed[offset]) for offset in range(size)), dimensions)
    return made


def _platform(number: int) -> str:
    """A platform that one in 1000, 100, 20 or 2 has, and another for the rest."""
    mixed = (number * 2_654_435_761) % 2**32 / 2**32
    edge = 0.0
    for name, one_in in reversed(SHARES.items()):
        edge += 1 / one_in
        if mixed < edge:
            return name
    return "rest"


def _nearest(vectors: np.ndarray) -> np.ndarray:
    found = np.empty((len(vectors), _NEIGHBOURS), np.int64)
    for start in range(0, len(vectors), 1000):
        scores = vectors[start : start + 1000] @ vectors.T
        found[start : start + 1000] = np.argsort(-scores, axis=1)[:, 1 : _NEIGHBOURS + 1]
    return found


def _exact(enlarged: np.ndarray, vector: np.ndarray, kept: np.ndarray | None, depth: int) -> set[str]:
    scores = np.concatenate(
        [enlarged[start : start + 100_000].astype(np.float32) @ vector for start in range(0, len(enlarged), 100_000)]
    )
    if kept is not None:
        scores = np.where(kept, scores, -np.inf)
    return {f"s{number:08}" for number in np.argsort(-scores)[:depth]}


def _recall(add: Add, search: Search, enlarged: np.ndarray, asked: np.ndarray, count: int) -> None:
    shares, took = [], []
    for vector in asked:
        with search.engine.begin() as session:
            scope = search.index.scope(session, "scale", [])
            start = time.perf_counter()
            found = search.index.nearest(session, vector, 10, scope)
            took.append((time.perf_counter() - start) * 1000)
        shares.append(len(_exact(enlarged, vector, None, 10) & {key for key, _ in found}) / 10)
    add(f"{count:,} passages: recall@10 against exact search", f"{statistics.fmean(shares):.4f}")
    add(f"{count:,} passages: nearest 10", _spread(took))


def _filters(add: Add, search: Search, enlarged: np.ndarray, asked: np.ndarray, count: int) -> None:
    platforms = np.array([_platform(number) for number in range(count)])
    for name, one_in in SHARES.items():
        kept = platforms == name
        took, full, shares = [], 0, []
        for vector in asked[:60]:
            start = time.perf_counter()
            hits = search.find(
                "scale", "", vector, k=10, options=Options("dense", 10), filters=Filters(platform=[name])
            )
            took.append((time.perf_counter() - start) * 1000)
            full += len(hits) == min(10, int(kept.sum()))
            wanted = _exact(enlarged, vector, kept, 10)
            shares.append(len(wanted & {hit.chunk_id for hit in hits}) / len(wanted))
        add(
            f"{count:,} passages: filter keeps one in {one_in}",
            f"k results {full}/{len(took)}, recall@10 {statistics.fmean(shares):.3f}, {_spread(took)}",
        )


def _latency(add: Add, settings: Settings, queries: Sequence[str], count: int) -> None:
    with served(settings) as url:
        for clients in (1, 16):
            times: dict[str, list[float]] = {}
            lock = threading.Lock()

            def ask(text: str, times: dict[str, list[float]] = times, lock: threading.Lock = lock) -> None:
                body = {"query": text, "author": "scale", "k": 10, "rerank": False}
                start = time.perf_counter()
                answer = httpx.post(f"{url}/search", json=body, timeout=120)
                took = (time.perf_counter() - start) * 1000
                answer.raise_for_status()
                parts = answer.json()["timings_ms"]
                with lock:
                    for name, value in parts.items():
                        times.setdefault(name, []).append(value)
                    times.setdefault("all but the model", []).append(parts["total"] - parts["embed"])
                    times.setdefault("over HTTP", []).append(took)

            for text in queries[:20]:
                ask(text, {}, threading.Lock())
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(ask, list(queries) * 2))
            for name, values in times.items():
                add(f"{count:,} passages, {clients} client{'s' * (clients > 1)}: {name}", _spread(values))


def _spread(values: Sequence[float]) -> str:
    return f"p50 {statistics.median(values):.1f} ms, p95 {statistics.quantiles(values, n=20)[-1]:.1f} ms"
