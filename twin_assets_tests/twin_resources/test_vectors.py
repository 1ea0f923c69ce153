"""Search on real Postgres with the packaged embedder."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_resources.embedder import Embedder, TokenCounter
from twin_resources.settings import Settings
from twin_resources.sources import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.vectors import Filters, VectorIndex
from twin_resources.warehouse import Warehouse

TEXTS = {
    "tides": "The tide table by the door is wrong by four minutes, and everybody in the harbour knows it. " * 3,
    "engine": "A ferry changes its engine every fourth year while it keeps crossing between the two islands. " * 3,
    "bread": "Sourdough wants patience, warm hands and a kitchen where nobody opens the window in winter. " * 3,
    "varnish": "Seven coats of varnish on a mast, sanded between each, and the rain still finds the eighth place. " * 3,
}


@pytest.fixture(scope="module")
def embedder(server: Settings) -> Embedder:
    return Embedder.of(server)


@pytest.fixture
def index(engine: sa.Engine, settings: Settings, embedder: Embedder) -> VectorIndex:
    warehouse = Warehouse(engine)
    made = VectorIndex(engine, settings.models.embedding)
    counter = TokenCounter.of(settings)
    for author in settings.authors:
        warehouse.record_author(author)
        opened = Folder("/nowhere", author.author)
        source_id = warehouse.remember_source(author.id, opened, {}, remembered=True)
        items = [
            RawDocument(
                f"https://example.com/{author.id}/{name}",
                "medium" if name == "bread" else "web",
                "articles",
                "text/markdown",
                text,
                title=name,
                published_at=datetime(2020 + number, 1, 1, tzinfo=UTC),
            )
            for number, (name, text) in enumerate(TEXTS.items())
        ]
        warehouse.collect(author.id, source_id, items, origin="folder", name="test")
        take_snapshot(warehouse, author.author, "articles")
        cut_new(warehouse, author.id, "articles", counter, chunker_id(made.model, counter))
    embed(made, "ada", embedder)
    return made


def embed(index: VectorIndex, author: str, embedder: Embedder) -> int:
    done = 0
    while batch := index.next_missing(author, 3):
        vectors = embedder.encode([text for _, text in batch])
        done += index.save(zip((key for key, _ in batch), vectors, strict=True), embedder.dimensions)
    index.ensure_index()
    return done


def titles(hits: list) -> list[str]:
    return [hit.title for hit in hits]


def test_meaning_and_words_both_find_their_passage(index: VectorIndex, embedder: Embedder) -> None:
    vector = embedder.encode(["baking a loaf at home"])[0]
    assert titles(index.dense("ada", vector, 4))[0] == "bread"
    assert titles(index.lexical("ada", "varnished masts", 4)) == ["varnish"], "words are stemmed"
    (first, *_) = index.search("ada", "how often does the ferry change engines", vector, k=4, mode="hybrid")
    assert set(first.scores) >= {"fused"}
    assert first.score == first.scores["fused"]


def test_the_same_text_is_never_embedded_twice(index: VectorIndex, embedder: Embedder) -> None:
    assert index.missing("ada") == 0
    assert index.missing("bo") == 0, "the other author's passages have the same words and so the same vectors"
    assert embed(index, "bo", embedder) == 0
    assert index.count("bo") == index.count("ada") == 4


def test_authors_never_see_each_other(index: VectorIndex, embedder: Embedder) -> None:
    vector = embedder.encode(["harbour"])[0]
    for hits in (index.dense("bo", vector, 10), index.lexical("bo", "harbour ferry varnish kitchen", 10)):
        assert hits
        assert all("/bo/" in hit.url for hit in hits)
    assert index.dense("nobody", vector, 10) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(platform=["medium"]), {"bread"}),
        (Filters(published_from=datetime(2021, 6, 1, tzinfo=UTC)), {"bread", "varnish"}),
        (Filters(published_to=datetime(2020, 6, 1, tzinfo=UTC)), {"tides"}),
        (Filters(url=["https://example.com/ada/engine"]), {"engine"}),
        (Filters(category=["posts"]), set()),
    ],
)
def test_filters_hold_for_every_ranking(
    index: VectorIndex, embedder: Embedder, filters: Filters, expected: set[str]
) -> None:
    vector = embedder.encode(["harbour"])[0]
    words = "tide ferry sourdough varnish"
    assert set(titles(index.dense("ada", vector, 10, filters))) == expected
    assert set(titles(index.lexical("ada", words, 10, filters))) == expected


@pytest.mark.parametrize(
    "query", ["", "   ", "the of and", "'; DROP TABLE chunk; --", "a & b | !c <-> :*", "\\'", "œ∑ 字"]
)
def test_any_query_is_answered(index: VectorIndex, embedder: Embedder, query: str) -> None:
    vector = embedder.encode([query])[0]
    assert isinstance(index.search("ada", query, vector, k=3), list)
    assert index.count("ada") == 4


def test_the_index_is_there_and_scans_on(index: VectorIndex) -> None:
    with index.engine.connect() as session:
        names = session.execute(
            sa.text("SELECT indexdef FROM pg_indexes WHERE tablename = 'embedding' AND indexdef LIKE '%hnsw%'")
        ).all()
        assert len(names) == 1
        assert "halfvec_cosine_ops" in names[0].indexdef
        session.exec_driver_sql("SET LOCAL hnsw.iterative_scan = strict_order")
        assert session.scalar(sa.text("SHOW hnsw.iterative_scan")) == "strict_order"
