"""What counts as wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twin_resources.alerts.conditions import of_daemon, of_readings, of_runs, of_traffic, of_withdrawal
from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.storage.calls.interactions import Traffic
from twin_resources.storage.releases import WITHDRAWER, Approval
from twin_resources.storage.sources import Reading

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RULES = MonitoringSettings(max_error_share=0.1, max_down_share=0.5, max_p95_ms=1000, stale_days=7)


def traffic(**changes: Any) -> Traffic:
    return Traffic(**{"interactions": 100, "errors": 0, "up": 0, "down": 0, "p95_ms": 10.0, **changes})


@pytest.mark.parametrize(
    ("changes", "rule", "state"),
    [
        ({}, "failures", "good"),
        ({"errors": 8}, "failures", "good"),
        ({"errors": 9}, "failures", "between"),
        ({"errors": 11}, "failures", "bad"),
        ({"errors": 9, "interactions": 9}, "failures", "good"),  # too few to say
        ({"up": 4, "down": 6}, "ratings", "bad"),
        ({"up": 3, "down": 6}, "ratings", "good"),
        ({"p95_ms": 900.0}, "slowness", "between"),
        ({"p95_ms": 1001.0}, "slowness", "bad"),
    ],
)
def test_a_limit_opens_and_four_fifths_of_it_close(changes: dict[str, Any], rule: str, state: str) -> None:
    found = {each.rule: each for each in of_traffic("ada", traffic(**changes), RULES)}
    assert found[rule].state == state


def reading(author: str, days: float | None) -> Reading:
    at = None if days is None else NOW - timedelta(days=days)
    return Reading("id", author, "folder", "notes", {}, False, at, None, None, None)


@pytest.mark.parametrize(
    ("readings", "state"),
    [
        ([reading("ada", 8)], "bad"),
        ([reading("ada", 8), reading("ada", 1)], "good"),
        ([reading("ada", 8), reading("bo", 1)], "bad"),
        ([reading("ada", None)], "good"),
        ([], "good"),
    ],
)
def test_sources_that_were_not_read_for_long(readings: list[Reading], state: str) -> None:
    assert of_readings("ada", readings, RULES, now=NOW).state == state


def decision(action: str, by: str) -> Approval:
    return Approval(NOW, action, "ada-2", by, "readers fared worse on it: a call failed in 12 of 60 conversations")


def test_a_canary_that_was_withdrawn_is_the_last_decision() -> None:
    found = of_withdrawal("ada", decision("reject", WITHDRAWER))
    assert (found.rule, found.state) == ("withdrawn_canary", "bad")
    assert found.text == (
        "ada-2 was withdrawn: readers fared worse on it: a call failed in 12 of 60 conversations; "
        "its report is on the page /releases"
    )
    for last in (None, decision("reject", "Ada"), decision("canary", "Ada"), decision("approve", "automatic")):
        assert of_withdrawal("ada", last).state == "good"


def test_runs_and_the_daemon() -> None:
    assert of_runs("ada", "0a1b2c3d", []).text == "run 0a1b2c3d failed; the Dagster UI shows where"
    assert of_runs("ada", None, []).state == "good"
    assert [of_daemon(None).state, of_daemon("it is dead").state] == ["good", "bad"]
