"""What the report and the API say of a span."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from twin_assets_tests.support.traffic import write_traffic
from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.monitoring.summary import summarise
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.calls.usage import Span, Usage

NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)


def test_a_week_is_summed_up_and_held_against_the_one_before(engine: sa.Engine) -> None:
    write_traffic(engine, "ada", now=NOW)
    found = summarise(Usage(engine), Span.of_days("ada", 7, now=NOW), MonitoringSettings())  # pyright: ignore[reportCallIssue]
    assert len(found.by_day) == 7
    per_day = sum(day.answered + day.silent + day.failed + day.searches for day in found.by_day)
    assert per_day == found.totals.calls > 50
    assert found.drift is not None
    assert found.drift.drifted
    assert "postgres" in found.drift.words


def test_errors_and_thumbs_down_raise_alarms(engine: sa.Engine) -> None:
    usage, rules = Usage(engine), MonitoringSettings()  # pyright: ignore[reportCallIssue]
    interactions = Interactions(engine)
    assert summarise(usage, Span.of_days("ada", 7), rules).alarms == []
    for number in range(10):
        error = "boom" if number == 0 else None
        interactions.record(f"t{number}", author="ada", call="ask", query="why?", error=error)
        interactions.feedback(f"t{number}", "down" if number < 5 else "up")
        if number == 3:
            assert summarise(usage, Span.of_days("ada", 7), rules).alarms == [], "too few to say anything"
    assert len(summarise(usage, Span.of_days("ada", 7), rules).alarms) == 2
