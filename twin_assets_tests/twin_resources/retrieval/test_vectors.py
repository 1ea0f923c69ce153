"""Embeddings on real Postgres: stored once, served when complete."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.passages import embed
from twin_resources.database.schema import chunk
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Options, Search
from twin_resources.retrieval.vectors import VectorIndex, served_model

WORDS = Options("lexical")


def titles(search: Search, query: str = "tide ferry sourdough varnish") -> set[str]:
    return {hit.title for hit in search.find("ada", query, None, k=10, options=WORDS)}


def test_the_same_text_is_never_embedded_twice(index: VectorIndex, embedder: Embedder) -> None:
    assert index.missing("ada") == 0
    assert index.missing("bo") == 0, "the other author's passages have the same words and so the same vectors"
    assert embed(index, "bo", embedder) == 0
    assert index.count("bo") == index.count("ada") == 4


def test_batches_come_longest_first_and_hold_every_text_once(index: VectorIndex) -> None:
    other = VectorIndex(index.engine, "another-model")
    batches = list(other.stream_missing("ada", 3))
    assert [len(batch) for batch in batches] == [3, 1]
    lengths = [len(text) for batch in batches for _, text in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert len({key for batch in batches for key, _ in batch}) == 4


def test_a_new_model_is_searched_only_when_all_its_vectors_are_there(index: VectorIndex) -> None:
    other = VectorIndex(index.engine, "another-model")
    rows = [row for batch in other.stream_missing("ada") for row in batch]
    vectors = np.eye(8, dtype=np.float32)
    other.save([(rows[0][0], vectors[0])], 8)
    assert not other.publish("ada"), "three vectors are missing"
    assert served_model(index.engine, "ada") == index.model
    other.save([(key, vectors[number]) for number, (key, _) in enumerate(rows)], 8)
    other.ensure_index()
    assert other.publish("ada")
    assert served_model(index.engine, "ada") == "another-model"
    found = Search(index.engine, "another-model").find("ada", "", vectors[2], k=1, options=Options("dense"))
    assert found[0].score == pytest.approx(1, abs=1e-3)
    assert index.count("ada") == 4, "the old vectors stay, so that going back costs nothing"


def test_an_edit_is_found_only_when_it_is_embedded(index: VectorIndex, embedder: Embedder, search: Search) -> None:
    row = chunk.c.title == "bread"
    with index.engine.begin() as session:
        session.execute(sa.update(chunk).where(row, chunk.c.author == "ada").values(current=False))
        values = dict(session.execute(sa.select(chunk).where(row, chunk.c.author == "ada")).mappings().one())
        values |= {
            "id": "edited",
            "text": "Rye, at last.",
            "embedded_text": "Rye, at last.",
            "text_hash": "rye",
            "current": True,
            "served": False,
        }
        session.execute(sa.insert(chunk).values(values))
    assert not index.publish("ada")
    assert titles(search, "sourdough") == {"bread"}, "what was there is found until the new text can be"
    assert titles(search, "rye") == set()
    embed(index, "ada", embedder)
    assert titles(search, "rye") == {"bread"}
    assert titles(search, "sourdough") == set()


def test_postgres_looks_at_its_tables_where_much_that_is_found_is_new(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sa.event.listen(index.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    def looks() -> int:
        asked.clear()
        assert index.publish("ada")
        return sum(each.startswith("ANALYZE") for each in asked)

    withdrawn = sa.update(chunk).where(chunk.c.author == "ada").values(served=False, current=False)
    found = withdrawn.values(served=False, current=True)
    assert looks() == 0, "nothing is new"
    for few, times in ((1_000, 0), (1, 1)):
        monkeypatch.setattr("twin_resources.retrieval.vectors._MANY", few)
        for change in (withdrawn, found):
            with index.engine.begin() as session:
                session.execute(change)
            made = looks()
        assert made == times


def test_the_index_is_there_and_the_scan_goes_on(index: VectorIndex, embedder: Embedder) -> None:
    with index.engine.begin() as session:
        names = session.execute(
            sa.text("SELECT indexdef FROM pg_indexes WHERE tablename = 'embedding' AND indexdef LIKE '%hnsw%'")
        ).all()
        assert len(names) == 1
        assert "halfvec_cosine_ops" in names[0].indexdef
        scope = index.scope(session, "ada", [])
        assert scope.few
        by_index = index._by_index(session, embedder.encode(["harbour"])[0], 4, scope)
        assert session.scalar(sa.text("SHOW hnsw.iterative_scan")) == "relaxed_order"
        plan = session.scalar(sa.text("SELECT current_setting('hnsw.max_scan_tuples')"))
        assert plan == "200000"
        one_by_one = index._one_by_one(session, embedder.encode(["harbour"])[0], 4, scope)
        assert [key for key, _ in by_index] == [key for key, _ in one_by_one]


def test_two_who_build_the_index_at_once_leave_one_that_is_valid(index: VectorIndex, embedder: Embedder) -> None:
    other = VectorIndex(index.engine, "raced-model")
    rows = [row for batch in other.stream_missing("ada") for row in batch]
    other.save([(key, vector) for (key, _), vector in zip(rows, np.eye(8, dtype=np.float32), strict=False)], 8)
    built: list[str] = []

    @sa.event.listens_for(index.engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(("CREATE INDEX", "DROP INDEX")):
            built.append(statement.split()[0])
            time.sleep(0.2)

    try:
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(other.ensure_index) for _ in range(3)]:
                done.result()
    finally:
        sa.event.remove(index.engine, "before_cursor_execute", note)
    with index.engine.connect() as session:
        valid = session.scalars(
            sa.text(
                "SELECT indisvalid FROM pg_index JOIN pg_indexes ON indexrelid = to_regclass(indexname::text) "
                "WHERE indexdef LIKE '%raced-model%'"
            )
        ).all()
    assert list(valid) == [True]
    assert built.count("CREATE") == 1


def test_one_author_is_compared_by_the_index_and_one_by_one_alike(
    index: VectorIndex, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = embedder.encode(["a ferry between islands"])[0]
    with index.engine.begin() as session:
        few = index.nearest(session, vector, 4, index.scope(session, "ada", []))
        monkeypatch.setattr("twin_resources.retrieval.vectors.FEW", 1)
        scope = index.scope(session, "ada", [])
        assert not scope.few
        assert index.nearest(session, vector, 4, scope) == few
        assert len(index.nearest(session, vector, 50, scope)) == 4, "the scan ends short, and all are compared"
