"""What readers asked and how it went, over a window of days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from twin_resources.alerts.conditions import of_traffic
from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.storage.calls.interactions import Interaction, Traffic


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0


def summarise(interactions: Iterable[Interaction], rules: MonitoringSettings) -> dict[str, Any]:
    """Counts, latencies and alarms of the interactions of one author, which are read once."""
    count = errors = with_citations = 0
    ratings: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    totals: list[float] = []
    for each in interactions:
        count += 1
        versions[each.version or "base"] += 1
        if each.rating:
            ratings[each.rating] += 1
        if each.error is not None:
            errors += 1
            continue
        totals.append(float(each.timings_ms.get("total", 0.0)))
        with_citations += bool(each.citations)
    figures: dict[str, Any] = {
        "interactions": count,
        "errors": errors,
        "with_citations": with_citations,
        "up": ratings["up"],
        "down": ratings["down"],
        "p50_ms": _percentile(totals, 0.5),
        "p95_ms": _percentile(totals, 0.95),
        "versions": dict(versions),
    }
    seen = Traffic(count, errors, ratings["up"], ratings["down"], figures["p95_ms"])
    figures["alarms"] = [each.text for each in of_traffic("", seen, rules) if each.state == "bad"]
    return figures
