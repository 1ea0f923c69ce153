"""Search on real Postgres with the packaged embedder."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from twin_resources.database.schema import chunk, lexical_segment
from twin_resources.retrieval import bm25, fusion
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import OPENINGS, Filters, Hit, Options, Search, join
from twin_resources.retrieval.vectors import VectorIndex


def titles(hits: list[Hit]) -> list[str]:
    return [hit.title for hit in hits]


def test_meaning_and_words_both_find_their_passage(search: Search, embedder: Embedder) -> None:
    vector = embedder.encode(["baking a loaf at home"])[0]
    assert titles(search.find("ada", "", vector, k=4, options=Options("dense")))[0] == "bread"
    assert titles(search.find("ada", "varnished masts", None, k=4, options=Options("lexical"))) == ["varnish"], (
        "words are stemmed"
    )


@pytest.mark.parametrize("expand", [False, True])
def test_every_score_is_explained(search: Search, embedder: Embedder, expand: bool) -> None:
    query = "how often does the ferry change engines"
    timings: dict[str, float] = {}
    hits = search.find("ada", query, embedder.encode([query])[0], k=4, options=Options(expand=expand), timings=timings)
    assert titles(hits)[0] == "engine"
    assert hits[0].score == pytest.approx(hits[0].scores["fused"], abs=1e-6)
    assert hits[0].scores["lexical"] > hits[1].scores["lexical"]
    assert 0 < hits[0].scores["lexical_weight"] <= 1
    assert ("expanded" in hits[0].scores) is expand
    assert {"dense", "lexical", "fuse"} <= set(timings)


def test_the_lexical_score_is_bm25(search: Search) -> None:
    """Against the formula, worked out by hand over the four passages."""
    import math

    with search.engine.begin() as session:
        lengths = session.execute(
            sa.text(
                "SELECT title, sum(cardinality(positions)) AS length FROM chunk, "
                "unnest(to_tsvector('english', embedded_text)) WHERE author = 'ada' GROUP BY title"
            )
        )
        sizes = {row.title: float(row.length) for row in lengths}
        matches = bm25.match(session, "ada", "patience")
    mean = sum(sizes.values()) / 4
    idf = math.log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 3 * (bm25.K1 + 1) / (3 + bm25.K1 * (1 - bm25.B + bm25.B * sizes["bread"] / mean))
    [(_, _, score)] = matches.top(10)
    assert score == pytest.approx(expected, rel=1e-5)


def test_authors_never_see_each_other(search: Search, embedder: Embedder, index: VectorIndex) -> None:
    assert index.publish("bo")
    vector = embedder.encode(["harbour"])[0]
    for mode in ("dense", "lexical", "hybrid"):
        hits = search.find("bo", "harbour ferry varnish kitchen", vector, k=10, options=Options(mode))
        assert len(hits) == 4
        assert all("/bo/" in hit.url for hit in hits)
    assert search.find("nobody", "harbour", vector, k=10) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(platform=["medium"]), {"bread"}),
        (Filters(published_from=datetime(2021, 6, 1, tzinfo=UTC)), {"bread", "varnish"}),
        (Filters(published_to=datetime(2020, 6, 1, tzinfo=UTC)), {"tides"}),
        (Filters(url=["https://example.com/ada/engine"]), {"engine"}),
        (Filters(language=["nn"]), set()),
        (Filters(category=["posts"]), set()),
    ],
)
@pytest.mark.parametrize("few", [0, 1000])
def test_filters_hold_for_every_ranking(
    search: Search,
    embedder: Embedder,
    filters: Filters,
    expected: set[str],
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twin_resources.retrieval.vectors.FEW", few)
    vector = embedder.encode(["harbour"])[0]
    words = "tide ferry sourdough varnish"
    for mode in ("dense", "lexical", "hybrid"):
        assert set(titles(search.find("ada", words, vector, k=10, options=Options(mode), filters=filters))) == expected


@pytest.mark.parametrize(
    "query", ["", "   ", "the of and", "'; DROP TABLE chunk; --", "a & b | !c <-> :*", "\\'", "œ∑ 字", "a\x00b"]
)
def test_any_query_is_answered(search: Search, embedder: Embedder, query: str) -> None:
    vector = embedder.encode([query])[0]
    for mode in ("dense", "lexical", "hybrid"):
        assert isinstance(search.find("ada", query, vector, k=3, options=Options(mode, expand=True)), list)
    assert search.index.count("ada") == 4


def test_styled_letters_are_found_by_plain_ones(search: Search) -> None:
    hits = search.find("ada", "𝘃𝗮𝗿𝗻𝗶𝘀𝗵", None, k=4, options=Options("lexical"))
    assert titles(hits) == ["varnish"]


@pytest.mark.parametrize("query", ["tables", "tide_table", "docs/harbour", "berths", "harbour.example", "mooring"])
def test_paths_dotted_names_and_types_are_found_by_their_parts(search: Search, index: VectorIndex, query: str) -> None:
    with index.engine.begin() as session:
        technical = "see docs/harbour/tide_table.py, https://harbour.example/berths?id=4 and list<Mooring>"
        bread = (chunk.c.title == "bread") & (chunk.c.author == "ada")
        session.execute(sa.update(chunk).where(bread).values(embedded_text=technical))
        session.execute(sa.delete(lexical_segment))
    index.publish("ada")
    assert "bread" in titles(search.find("ada", query, None, k=2, options=Options("lexical")))


def test_words_are_stemmed_in_the_languages_an_author_writes_in(search: Search, index: VectorIndex) -> None:
    def tell(language: str, count: int) -> None:
        with index.engine.begin() as session:
            mine = sa.select(chunk.c.id).where(chunk.c.author == "ada").order_by(chunk.c.id).limit(count)
            session.execute(sa.update(chunk).where(chunk.c.author == "ada").values(language="en"))
            session.execute(sa.update(chunk).where(chunk.c.id.in_(mine)).values(language=language))
            session.execute(sa.delete(lexical_segment))
        index.publish("ada")

    tell("de", 4)
    with index.engine.begin() as session:
        assert bm25.lexemes(session, "Häuser", ["de"]) == [("haus", 1.0)]
        assert session.scalar(sa.select(lexical_segment.c.languages)) == ["de"]
    tell("de", 2)
    with index.engine.begin() as session:
        assert set(session.scalar(sa.select(lexical_segment.c.languages)) or ()) == {"de", "en"}
        assert {word for word, _ in bm25.lexemes(session, "Häuser houses", ["de", "en"])} >= {"haus", "hous"}
    tell("xx", 4)
    assert titles(search.find("ada", "varnished", None, k=4, options=Options("lexical"))) == ["varnish"]


def test_what_repeats_a_hit_is_left_out(search: Search, index: VectorIndex) -> None:
    with index.engine.begin() as session:
        row = dict(
            session.execute(sa.select(chunk).where(chunk.c.title == "bread", chunk.c.author == "ada")).mappings().one()
        )
        session.execute(sa.insert(chunk).values(row | {"id": "again", "title": "bread again", "served": False}))
    index.publish("ada")
    assert titles(search.find("ada", "sourdough", None, k=4, options=Options("lexical"))) in (
        ["bread"],
        ["bread again"],
    )


def test_how_its_document_opens_speaks_for_a_passage(search: Search, index: VectorIndex, embedder: Embedder) -> None:
    with index.engine.begin() as session:
        rows = {
            row["title"]: dict(row)
            for row in session.execute(sa.select(chunk).where(chunk.c.author == "ada")).mappings()
        }
        for number, title in enumerate(("bread", "engine")):
            same = {each: rows["tides"][each] for each in ("embedded_text", "text_hash")}
            own = {"id": f"{number}-{title}", "title": f"more {title}", "text": f"make {title}", "position": 1}
            session.execute(sa.insert(chunk).values(rows[title] | same | own))
    index.publish("ada")
    query = "how often does the ferry change engines"
    found = titles(search.find("ada", query, embedder.encode([query])[0], k=6))
    assert found.index("more engine") < found.index("more bread")


def test_newer_and_different_passages_can_be_preferred(search: Search, embedder: Embedder) -> None:
    query = "tide ferry sourdough varnish"
    vector = embedder.encode([query])[0]
    newest = search.find("ada", query, vector, k=4, options=Options(recency=1.0))
    assert titles(newest) == ["varnish", "bread", "engine", "tides"]
    plain = search.find("ada", query, vector, k=4)
    varied = search.find("ada", query, vector, k=4, options=Options(diversity=1.0))
    assert set(titles(varied)) == set(titles(plain))
    assert titles(varied)[0] == titles(plain)[0]


def test_a_new_passage_gets_a_small_segment_and_many_are_joined(search: Search, index: VectorIndex) -> None:
    def segments() -> list[int]:
        with index.engine.connect() as session:
            return list(
                session.scalars(
                    sa.select(lexical_segment.c.size)
                    .where(lexical_segment.c.author == "ada")
                    .order_by(lexical_segment.c.id)
                )
            )

    assert segments() == [4]
    with index.engine.begin() as session:
        row = dict(
            session.execute(sa.select(chunk).where(chunk.c.title == "bread", chunk.c.author == "ada")).mappings().one()
        )
    for number in range(bm25.SEGMENTS):
        with index.engine.begin() as session:
            text = f"Lantern number {number} burns."
            values = row | {"id": f"lantern-{number}", "title": text, "text": text, "served": False}
            session.execute(sa.insert(chunk).values(values | {"embedded_text": text}))
        index.publish("ada")
        hits = search.find("ada", "lanterns", None, k=20, options=Options("lexical"))
        assert len(hits) == number + 1
        if number < bm25.SEGMENTS - 1:
            assert segments() == [4] + [1] * (number + 1)
    assert segments() == [4 + bm25.SEGMENTS]
    with index.engine.begin() as session:
        session.execute(sa.update(chunk).where(chunk.c.id.like("lantern-%")).values(current=False))
    index.publish("ada")
    assert segments() == [4]
    assert search.find("ada", "lanterns", None, k=20, options=Options("lexical")) == []


def test_a_long_document_is_not_read_to_find_what_opens_it(search: Search, index: VectorIndex) -> None:
    columns = ", ".join(f'"{column.name}"' for column in chunk.columns if column.name not in ("id", "position"))
    copies = f"""
        INSERT INTO chunk (id, position, {columns})
        SELECT 'long-' || number, number + 10, {columns} FROM chunk, generate_series(1, 5000) AS number
        WHERE author = 'ada' AND title = 'bread'"""
    with index.engine.begin() as session:
        session.execute(sa.text(copies))
        session.execute(sa.text("ANALYZE chunk"))
        document = session.scalar(sa.select(chunk.c.document_id).where(chunk.c.id == "long-1"))
        wanted = {"documents": [document], "model": index.model, "most": fusion.LONG}
        driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
        (plan,) = driver.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + OPENINGS, wanted).fetchone() or ((),)
    read: list[float] = []
    nodes = [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        read.append(node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    assert max(read) <= fusion.LONG


def test_rankings_of_several_questions_are_joined(search: Search) -> None:
    one = search.find("ada", "ferry", None, k=4, options=Options("lexical"))
    two = search.find("ada", "sourdough", None, k=4, options=Options("lexical"))
    assert set(titles(join([one, two], 4))) == set(titles(one)) | {"bread"}
    assert titles(join([one], 1)) == titles(one)[:1]
    assert set(titles(join([one, two], 2))) == {titles(one)[0], titles(two)[0]}, "the best of each comes first"
