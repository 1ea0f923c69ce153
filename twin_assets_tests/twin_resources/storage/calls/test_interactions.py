from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from twin_resources.database.schema import interaction
from twin_resources.storage.calls.interactions import InteractionError, Interactions, Traffic, trace_id


def test_what_is_stored_holds_no_addresses(engine: sa.Engine) -> None:
    interactions, trace = Interactions(engine), trace_id()
    interactions.record(
        trace, author="ada", call="ask", query="to a@harbour.no\x00", prompt="p b@harbour.no", answer="c@harbour.no"
    )
    interactions.feedback(trace, "up", "thanks d@harbour.no")
    interactions.feedback(trace, "down", None, "say e@harbour.no")
    [found] = interactions.corrections("ada")
    assert [getattr(found, key) for key in ("query", "prompt", "answer")] == ["to [email]", "p [email]", "[email]"]
    assert [getattr(found, key) for key in ("rating", "comment", "correction")] == ["down", None, "say [email]"]
    assert list(interactions.corrections("bo")) == []


def test_feedback_on_nothing_is_an_error(engine: sa.Engine) -> None:
    with pytest.raises(InteractionError, match="no answer has the trace nothing"):
        Interactions(engine).feedback("nothing", "up")


def test_old_calls_go_with_their_feedback(engine: sa.Engine) -> None:
    interactions = Interactions(engine)
    for trace in ("old", "new"):
        interactions.record(trace, author="ada", call="search", query=trace)
        interactions.feedback(trace, "up")
    with engine.begin() as session:
        session.execute(
            sa.update(interaction).where(interaction.c.id == "old").values(at=datetime.now(UTC) - timedelta(days=91))
        )
    assert interactions.purge(90) == 1
    with engine.connect() as session:
        assert session.scalars(sa.select(interaction.c.id)).all() == ["new"]


def test_praised_answers_are_those_whose_newest_rating_is_good_and_that_name_a_source(engine: sa.Engine) -> None:
    interactions = Interactions(engine)
    for trace, cited, ratings in (
        ("good", True, ("down", "up")),
        ("bad", True, ("up", "down")),
        ("unrated", True, ()),
        ("unfounded", False, ("up",)),
    ):
        citations = [{"chunk_id": "c", "document_id": "d", "cited": cited}]
        interactions.record(trace, author="ada", call="ask", query=trace, answer="so", citations=citations)
        for rating in ratings:
            interactions.feedback(trace, rating)
    assert [found.id for found in interactions.praised("ada", 10)] == ["good"]
    assert interactions.praised("ada", 0) == interactions.praised("bo", 10) == []


def test_calls_are_summed_up_as_the_report_counts_them(engine: sa.Engine) -> None:
    interactions = Interactions(engine)
    since = datetime.now(UTC) - timedelta(days=1)
    assert interactions.traffic("ada", since) == Traffic(0, 0, 0, 0, 0.0)
    for number in range(20):
        interactions.record(
            f"t{number}",
            author="ada",
            call="ask",
            query="why?",
            timings_ms={"total": 10.0 * number},
            error="boom" if number == 19 else None,
        )
    interactions.record("other", author="bo", call="ask", query="why?", error="boom")
    interactions.feedback("t1", "up")
    interactions.feedback("t1", "down")
    interactions.feedback("t2", "up")
    assert interactions.traffic("ada", since) == Traffic(20, 1, 1, 1, 180.0)
