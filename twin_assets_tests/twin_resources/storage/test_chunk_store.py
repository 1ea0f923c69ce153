"""Passages join to their text, or the graph stops; what is shown of them is a few, evenly apart."""

from __future__ import annotations

import sqlalchemy as sa

from twin_resources.database.schema import chunk
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.clean_store import CleanStore


def test_passages_that_do_not_join_to_their_text_are_named(index: VectorIndex) -> None:
    store = ChunkStore(index.engine)
    assert list(store.broken("ada", "articles")) == []
    with index.engine.begin() as session:
        mine = chunk.c.author == "ada"
        session.execute(sa.update(chunk).where(mine, chunk.c.title == "tides").values(text="The tide table"))
        session.execute(sa.delete(chunk).where(mine, chunk.c.title == "bread"))
    [bread] = [each for each in CleanStore(index.engine).documents("ada") if each.title == "bread"]
    found = {"https://example.com/ada/tides", f"document without passages: {bread.id}"}
    assert set(store.broken("ada", "articles")) == found
    assert list(store.broken("bo", "articles")) == []


def test_passages_of_a_document_that_is_not_used_any_more_are_named(index: VectorIndex) -> None:
    [bread] = [each for each in CleanStore(index.engine).entries("ada", "articles") if each.title == "bread"]
    with index.engine.begin() as session:
        session.execute(sa.text("UPDATE clean_document SET excluded = 'not_own' WHERE id = :id"), {"id": bread.id})
    assert list(ChunkStore(index.engine).broken("ada", "articles")) == ["https://example.com/ada/bread"]


def test_sums_and_samples_are_those_of_the_passages(index: VectorIndex) -> None:
    store = ChunkStore(index.engine)
    held = list(store.current("ada", "articles"))
    totals = store.totals("ada", "articles", limit=max(each.tokens for each in held) - 1)
    assert (totals.chunks, totals.tokens) == (len(held), sum(each.tokens for each in held))
    assert totals.over == sum(each.tokens == max(other.tokens for other in held) for each in held)
    assert store.spread("ada", "articles", 2) == [held[0], held[2]]
    assert store.spread("ada", "articles", 50) == held
    assert store.totals("ada", "posts").chunks == store.count("ada", "posts") == 0


def test_passages_can_be_read_again_and_left_before_their_end(index: VectorIndex) -> None:
    held = ChunkStore(index.engine).current("ada")
    assert [each.id for each in held] == [each.id for each in held]
    first = next(iter(held))
    assert first.heading == tuple(first.heading)
    with index.engine.begin() as session:
        session.execute(sa.delete(chunk).where(chunk.c.author == "ada"))
    assert list(held) == [], "each reading asks the database anew"
