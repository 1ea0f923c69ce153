"""Questions for measuring search."""

from __future__ import annotations

from twin_assets.dataset.generators import preference, retrieval
from twin_assets_tests.support.rows import interaction
from twin_assets_tests.twin_assets.dataset.test_instruct import chunk

TEXT = (
    "Harbour pilots learn currents before charts. {n} "
    + "The pilot watches currents while charts stay dry below deck. " * 4
)


def test_questions_name_passages_that_exist() -> None:
    rows = [
        chunk(n, position, TEXT.format(n=f"Buoy {n} leans."), (f"Where pilot number {n} learned currents",))
        for n in range(12)
        for position in range(2)
    ]
    made = retrieval.build("me", rows)
    ids = {row.id for row in rows}
    assert {query.kind for query in made.queries} >= {"heading"}
    for query in made.queries:
        assert set(query.relevant) <= ids
    assert retrieval.build("me", rows).id == made.id


def test_headings_that_stand_in_many_documents_are_no_questions() -> None:
    rows = [chunk(n, 0, "text", ("What we do about it",)) for n in range(5)]
    assert [query for query in retrieval.build("me", rows).queries if query.kind == "heading"] == []


def test_corrections_become_pairs_and_empty_ones_do_not() -> None:
    rows = [
        interaction(id="t1", query="q", answer="wrong", correction="right"),
        interaction(id="t2", query="q", answer="same", correction=" Same "),
        interaction(id="t3", query="q", answer=None, correction="x"),
        interaction(id="t4", query="q", answer="wrong", correction="right"),
        interaction(id="t5", query="Why?", answer="No.", correction="Tides.", shown={"searched_for": "When? Why?"}),
    ]
    pairs, dropped = preference.build(rows)
    assert sorted((pair.prompt, pair.chosen, pair.rejected, pair.trace_id) for pair in pairs) == [
        ("When? Why?", "Tides.", "No.", "t5"),
        ("q", "right", "wrong", "t1"),
    ]
    assert dropped == {"empty": 1, "same_text": 1, "repeated": 1}
