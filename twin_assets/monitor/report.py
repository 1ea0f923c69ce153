"""What readers asked and how it went, over a window of days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from twin_resources.config.settings import MonitoringSettings

_ENOUGH = 10
"""Calls or ratings from which on a share of them says something."""


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0


def summarise(rows: Sequence[Mapping[str, Any]], rules: MonitoringSettings) -> dict[str, Any]:
    """Counts, latencies and alarms of the interactions of one author.

    Args:
        rows: interactions with ``error``, ``timings_ms``, ``citations``, ``version`` and ``rating``.
    """
    ratings = Counter(row["rating"] for row in rows if row["rating"])
    errors = sum(row["error"] is not None for row in rows)
    answered = [row for row in rows if row["error"] is None]
    totals = [float(row["timings_ms"].get("total", 0.0)) for row in answered]
    figures: dict[str, Any] = {
        "interactions": len(rows),
        "errors": errors,
        "with_citations": sum(bool(row["citations"]) for row in answered),
        "up": ratings["up"],
        "down": ratings["down"],
        "p50_ms": _percentile(totals, 0.5),
        "p95_ms": _percentile(totals, 0.95),
        "versions": dict(Counter(row["version"] or "base" for row in rows)),
    }
    alarms = []
    if len(rows) >= _ENOUGH and errors / len(rows) > rules.max_error_share:
        alarms.append(f"{errors} of {len(rows)} requests failed")
    rated = ratings["up"] + ratings["down"]
    if rated >= _ENOUGH and ratings["down"] / rated > rules.max_down_share:
        alarms.append(f"{ratings['down']} of {rated} ratings are thumbs down")
    figures["alarms"] = alarms
    return figures
