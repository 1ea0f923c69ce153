"""Preference pairs from readers: where somebody corrected an answer, the correction is chosen over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.text.identity import content_id

CODE_VERSION = "1"


@dataclass(frozen=True)
class Pair:
    """One preference pair, and the answer (trace) it came from."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    trace_id: str


def build(corrections: Sequence[Mapping[str, Any]]) -> tuple[list[Pair], dict[str, int]]:
    """Make pairs from corrected answers.

    Args:
        corrections: interactions with ``id``, ``query``, ``answer`` and ``correction``.

    Returns:
        Pairs in the order of their ids, and what was dropped by reason.
    """
    pairs: dict[str, Pair] = {}
    dropped = {"empty": 0, "same_text": 0, "repeated": 0}
    for row in corrections:
        chosen, rejected = (row["correction"] or "").strip(), (row["answer"] or "").strip()
        if not chosen or not rejected:
            dropped["empty"] += 1
        elif chosen.casefold().split() == rejected.casefold().split():
            dropped["same_text"] += 1
        else:
            key = content_id("pair", row["query"], chosen, rejected)
            if key in pairs:
                dropped["repeated"] += 1
            else:
                pairs[key] = Pair(key, row["query"], chosen, rejected, row["id"])
    return [pairs[key] for key in sorted(pairs)], {reason: count for reason, count in dropped.items() if count}


def dataset_id(author_id: str, pairs: Sequence[Pair]) -> str:
    """Content hash of the pairs and of the code that made them."""
    return content_id("preference", CODE_VERSION, author_id, *(pair.id for pair in pairs))
