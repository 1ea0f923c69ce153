"""Whether the figures of a report can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping

_MEASURE = "recall@10"


def worse_than_lexical(ways: Mapping[str, Mapping[str, float]]) -> str | None:
    """What is wrong where hybrid search finds the right passages less often than lexical search alone, or None.

    Args:
        ways: metrics by way of searching, as the retrieval report holds them.
    """
    hybrid, lexical = ways.get("hybrid", {}).get(_MEASURE), ways.get("lexical", {}).get(_MEASURE)
    if hybrid is None or lexical is None or hybrid >= lexical:
        return None
    return f"{_MEASURE} is {hybrid:.3f} with hybrid search and {lexical:.3f} with lexical search alone"


def infinite(losses: Mapping[str, float | None]) -> list[str]:
    """The models whose loss is no finite number, in order."""
    return sorted(name for name, loss in losses.items() if loss is None or not math.isfinite(loss))
