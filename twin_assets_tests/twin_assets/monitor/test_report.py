"""When the monitoring raises an alarm."""

from __future__ import annotations

from typing import Any

from twin_assets.monitor.report import summarise
from twin_resources.config.settings import MonitoringSettings


def row(**changes: Any) -> dict[str, Any]:
    return {
        "error": None,
        "timings_ms": {"total": 100.0},
        "citations": [1],
        "version": "me-1",
        "rating": None,
        **changes,
    }


def test_figures() -> None:
    found = summarise([row(), row(timings_ms={"total": 300.0}, citations=[]), row(version=None)], MonitoringSettings())
    assert (found["interactions"], found["with_citations"], found["p50_ms"], found["p95_ms"]) == (3, 2, 100.0, 300.0)
    assert found["versions"] == {"me-1": 2, "base": 1}
    assert found["alarms"] == []


def test_errors_and_thumbs_down_raise_alarms() -> None:
    rows = [row(error="boom")] + [row(rating="down")] * 5 + [row(rating="up")] * 5
    assert summarise(rows[:4], MonitoringSettings())["alarms"] == [], "too few to say anything"
    assert len(summarise(rows, MonitoringSettings())["alarms"]) == 2
    assert summarise([], MonitoringSettings())["alarms"] == []
