"""When the monitoring raises an alarm."""

from __future__ import annotations

from twin_assets.monitor.report import summarise
from twin_assets_tests.support.rows import interaction
from twin_resources.config.settings import MonitoringSettings


def test_figures() -> None:
    found = summarise(
        [interaction(), interaction(timings_ms={"total": 300.0}, citations=[]), interaction(version=None)],
        MonitoringSettings(),
    )
    assert (found["interactions"], found["with_citations"], found["p50_ms"], found["p95_ms"]) == (3, 2, 100.0, 300.0)
    assert found["versions"] == {"me-1": 2, "base": 1}
    assert found["alarms"] == []


def test_errors_and_thumbs_down_raise_alarms() -> None:
    rows = [interaction(error="boom")] + [interaction(rating="down")] * 5 + [interaction(rating="up")] * 5
    assert summarise(rows[:4], MonitoringSettings())["alarms"] == [], "too few to say anything"
    assert len(summarise(rows, MonitoringSettings())["alarms"]) == 2
    assert summarise([], MonitoringSettings())["alarms"] == []
