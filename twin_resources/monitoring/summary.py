"""How an author's twin did over a span of days: what ``reports/monitoring`` and ``GET /monitoring`` say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twin_resources.alerts.conditions import of_traffic
from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.monitoring.drift import MOST, Drift, drift
from twin_resources.storage.calls.usage import Day, Latency, Span, Speaker, Totals, Usage


@dataclass(frozen=True)
class Summary:
    """One span; ``alarms`` are the rules that it breaks in words, ``drift`` is None with too few questions to tell."""

    span: Span
    totals: Totals
    by_day: Sequence[Day]
    latency: Sequence[Latency]
    speakers: Sequence[Speaker]
    alarms: Sequence[str]
    drift: Drift | None


def summarise(usage: Usage, span: Span, rules: MonitoringSettings) -> Summary:
    """Sum up a span, and hold its questions against those of the span before."""
    totals = usage.totals(span)
    return Summary(
        span=span,
        totals=totals,
        by_day=usage.by_day(span),
        latency=usage.latency(span),
        speakers=usage.speakers(span),
        alarms=[each.text for each in of_traffic(span.author, totals.traffic, rules) if each.state == "bad"],
        drift=drift(usage.questions(span.before(), limit=MOST), usage.questions(span, limit=MOST)),
    )
