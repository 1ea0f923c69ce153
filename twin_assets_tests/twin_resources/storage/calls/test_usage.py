"""Figures over a span, as the database sums them up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import interaction
from twin_resources.storage.calls.interactions import Interactions, Outcome, Shown
from twin_resources.storage.calls.usage import BASE, OWN_WORDS, SEARCH, Day, Span, Totals, Usage

NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)


def call(engine: sa.Engine, key: str, *, at: datetime = NOW, ms: float = 100.0, **values: Any) -> None:
    """A question that was answered in the author's words, a minute before :data:`NOW`."""
    filled: dict[str, Any] = {"author": "ada", "call": "ask", "query": key, "outcome": Outcome("quote", False, 1.0, 6)}
    Interactions(engine).record(key, timings_ms={"total": ms}, **{**filled, **values})
    with engine.begin() as session:
        moment = at - timedelta(minutes=1)
        session.execute(sa.update(interaction).where(interaction.c.id == key).values(at=moment))


def test_a_span_without_calls_has_figures_too(engine: sa.Engine) -> None:
    span, usage = Span.of_days("ada", 2, now=NOW), Usage(engine)
    assert usage.totals(span) == Totals(0, 0, 0, 0, 0, None, 0, 0, 0, 0, 0, 0.0, 0.0)
    assert usage.totals(span).silence is None
    assert usage.by_day(span) == [Day(date(2026, 11, 20)), Day(date(2026, 11, 21))]
    assert usage.latency(span) == usage.speakers(span) == usage.unanswered(span, below=0.5, limit=9) == []


def test_calls_are_counted_by_day_mode_and_who_answered(engine: sa.Engine) -> None:
    call(engine, "quoted", ms=20.0)
    call(engine, "silent", ms=40.0, outcome=Outcome("quote", True, None, 3))
    call(engine, "written", ms=900.0, version="ada-1", outcome=Outcome("generate", False, 0.5, 6), citations=[{}])
    call(engine, "by the base", ms=300.0, outcome=Outcome("write", False, 0.0, None))
    call(engine, "yesterday", at=NOW - timedelta(days=1), call="search", ms=5.0, outcome=Outcome(found=0))
    call(engine, "failed", error="boom", outcome=Outcome("generate", found=6))
    call(engine, "too early", at=NOW - timedelta(days=2))
    call(engine, "another's", author="bo")
    Interactions(engine).feedback("quoted", "down")
    Interactions(engine).feedback("quoted", "up")

    span, usage = Span.of_days("ada", 2, now=NOW), Usage(engine)
    assert usage.totals(span) == Totals(
        calls=6,
        failed=1,
        questions=5,
        silent=1,
        judged=4,
        support=0.5,
        empty=1,
        retrievals=5,
        with_citations=1,
        up=1,
        down=0,
        p50_ms=40.0,
        p95_ms=900.0,
    )
    assert usage.totals(span).silence == 0.25
    assert usage.by_day(span) == [Day(date(2026, 11, 20), searches=1), Day(date(2026, 11, 21), 3, 1, 1)]
    assert [(each.mode, each.calls, each.p50_ms, each.p95_ms) for each in usage.latency(span)] == [
        ("quote", 2, 20.0, 40.0),
        ("generate", 1, 900.0, 900.0),
        (SEARCH, 1, 5.0, 5.0),
        ("write", 1, 300.0, 300.0),
    ]
    assert {each.version: each.answers for each in usage.speakers(span)} == {OWN_WORDS: 1, "ada-1": 1, BASE: 1}
    assert usage.questions(span.before(), limit=9) == ["too early"]


def test_unanswered_are_the_silent_and_those_that_little_supports_though_it_was_sought(engine: sa.Engine) -> None:
    call(engine, "silent", outcome=Outcome("quote", True, None, 0))
    call(engine, "weak", at=NOW - timedelta(hours=1), outcome=Outcome("write", False, 0.4, 6))
    shown = Shown("", "stop", searched_for="Who sings? And why?")
    leaning = {"query": "And why?", "outcome": Outcome("quote", True, None, 0), "shown": shown}
    call(engine, "leaning", at=NOW - timedelta(hours=2), **leaning)
    call(engine, "just enough", outcome=Outcome("generate", False, 0.5, 6))
    call(engine, "free writing", outcome=Outcome("write", False, 0.0, None))
    call(engine, "failed", error="boom", outcome=Outcome("generate"))
    found = Usage(engine).unanswered(Span.of_days("ada", 1, now=NOW), below=0.5, limit=9)
    assert [(each.question, each.abstained, each.support) for each in found] == [
        ("silent", True, None),
        ("weak", False, 0.4),
        ("Who sings? And why?", True, None),
    ]
