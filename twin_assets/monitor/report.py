"""What readers asked and how it went, over a window of days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from twin_resources.config.settings import MonitoringSettings
from twin_resources.storage.interactions import Interaction

_ENOUGH = 10
"""Calls or ratings from which on a share of them says something."""


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
    alarms = []
    if count >= _ENOUGH and errors / count > rules.max_error_share:
        alarms.append(f"{errors} of {count} requests failed")
    rated = ratings["up"] + ratings["down"]
    if rated >= _ENOUGH and ratings["down"] / rated > rules.max_down_share:
        alarms.append(f"{ratings['down']} of {rated} ratings are thumbs down")
    figures["alarms"] = alarms
    return figures
