"""Whether the figures of a report can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_MEASURE = "recall@10"
_REFUSED_ELSEWHERE = 0.6
_SUPPORT = 0.97


def worse_than_lexical(ways: Mapping[str, Mapping[str, float]]) -> str | None:
    """What is wrong where hybrid search finds the right passages less often than lexical search alone, or None.

    Args:
        ways: metrics by way of searching, as the retrieval report holds them.
    """
    hybrid, lexical = ways.get("hybrid", {}).get(_MEASURE), ways.get("lexical", {}).get(_MEASURE)
    if hybrid is None or lexical is None or hybrid >= lexical:
        return None
    return f"{_MEASURE} is {hybrid:.3f} with hybrid search and {lexical:.3f} with lexical search alone"


def unsound_answers(kinds: Mapping[str, Mapping[str, Any]], refused: float) -> list[str]:
    """What is wrong with answers, where chance does not explain it.

    Args:
        kinds: figures by kind of question, as the answers report holds them.
        refused: the share of answerable questions that may be refused.
    """
    wrong = []
    for kind, mine in kinds.items():
        silent, support = mine["silent"], mine["support"]
        if kind == "elsewhere":
            if silent["high"] < _REFUSED_ELSEWHERE:
                wrong.append(f"only {silent['share']:.0%} of the questions about something else are refused")
        elif silent["low"] > refused:
            wrong.append(f"{silent['share']:.0%} of the {kind} questions are refused; {refused:.0%} may be")
        if support and support["high"] < _SUPPORT:
            wrong.append(f"{support['share']:.0%} of the sentences in answers to {kind} questions have support")
    return wrong


def infinite(losses: Mapping[str, float | None]) -> list[str]:
    """The models whose loss is no finite number, in order."""
    return sorted(name for name, loss in losses.items() if loss is None or not math.isfinite(loss))
