"""Postings are read once, and no more of them are kept than there is room for."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from twin_resources.database.schema import lexical_segment, posting
from twin_resources.retrieval import bm25
from twin_resources.retrieval.postings import Postings, Segment
from twin_resources.retrieval.search import Search

WORDS = ["tide", "ferri", "varnish", "patienc", "nowher"]


def _segments(session: sa.Connection) -> list[Segment]:
    columns = lexical_segment.c.id, lexical_segment.c.author, lexical_segment.c.created_at
    return [Segment(*row) for row in session.execute(sa.select(*columns).where(lexical_segment.c.author == "ada"))]


@pytest.mark.parametrize("capacity", [2**20, 500, 0])
def test_they_are_what_is_stored_however_few_are_kept(search: Search, capacity: int) -> None:
    postings = Postings(capacity)
    with search.engine.begin() as session:
        segments = _segments(session)
        stored = {row.lexeme: row for row in session.execute(sa.select(posting)) if row.lexeme in WORDS}
        assert stored
        for _ in range(2):
            found = postings.of(session, segments, WORDS)
            assert found.keys() == stored.keys()
            for lexeme, [(_, kept)] in found.items():
                assert kept.ordinals.tolist() == stored[lexeme].ordinals
                assert kept.impacts == pytest.approx(stored[lexeme].impacts)
            assert postings.size <= capacity


def test_what_was_read_is_not_asked_for_again(search: Search) -> None:
    postings = Postings()
    with search.engine.begin() as session:
        segments = _segments(session)
        first = postings.of(session, segments, WORDS)
        session.execute(sa.delete(posting))
        again = postings.of(session, segments, WORDS)
        assert again.keys() == first.keys()
        assert Postings().of(session, segments, WORDS) == {}
        session.rollback()


def test_a_segment_of_another_database_with_the_same_number_is_another(search: Search) -> None:
    postings = Postings()
    with search.engine.begin() as session:
        [mine] = _segments(session)
        postings.of(session, [mine], WORDS)
        moment = mine.created_at.replace(year=2001)
        session.execute(sa.delete(posting))
        assert postings.of(session, [Segment(mine.id, mine.author, moment)], WORDS) == {}
        session.rollback()


@pytest.mark.parametrize("wanted", [1, 7, 300, 2000])
def test_the_best_matches_are_the_best_of_all(wanted: int) -> None:
    generator = np.random.default_rng(3)
    scores = {number: generator.exponential(1, 1000).astype(np.float32) ** 3 for number in (4, 9)}
    scores[4][:500] = 0
    ranked = sorted(
        ((number, place, float(score)) for number, each in scores.items() for place, score in enumerate(each) if score),
        key=lambda match: (-match[2], match[0], match[1]),
    )
    assert bm25.Matches(scores).top(wanted) == ranked[:wanted]
    assert bm25.Matches(scores).top(wanted, skip=20) == ranked[20 : 20 + wanted]
    assert bm25.Matches({1: np.zeros(5, np.float32), 2: np.zeros(0, np.float32)}).top(3) == []
