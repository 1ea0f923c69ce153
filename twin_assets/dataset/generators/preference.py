"""Preference pairs from readers: where somebody corrected an answer, the correction is chosen over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from twin_resources.config.datasets import RejectedOrigin
from twin_resources.storage.calls.interactions import Interaction
from twin_resources.text.identity import content_id

CODE_VERSION = "3"


@dataclass(frozen=True)
class PreferencePair:
    """One preference pair, and where it came from: the answer (``trace_id``) that a reader corrected, or a sample of
    the author's text (``document_id``, ``url``, ``chunk_id``) against the answer of ``rejected_by``. Unless both texts
    are ``whole``, one of them was cut, and where they end says nothing."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    trace_id: str
    rejected_from: Literal["reader", RejectedOrigin] = "reader"
    rejected_by: str = ""
    document_id: str = ""
    url: str = ""
    chunk_id: str = ""
    whole: bool = True


def build(corrections: Iterable[Interaction]) -> tuple[list[PreferencePair], dict[str, int]]:
    """Make pairs from corrected answers.

    Returns:
        Pairs in the order of their ids, and what was dropped by reason.
    """
    pairs: dict[str, PreferencePair] = {}
    dropped = {"empty": 0, "same_text": 0, "repeated": 0}
    for answered in corrections:
        chosen, rejected = (answered.correction or "").strip(), (answered.answer or "").strip()
        if not chosen or not rejected:
            dropped["empty"] += 1
        elif chosen.casefold().split() == rejected.casefold().split():
            dropped["same_text"] += 1
        else:
            key = content_id("pair", answered.asked, chosen, rejected)
            if key in pairs:
                dropped["repeated"] += 1
            else:
                pairs[key] = PreferencePair(key, answered.asked, chosen, rejected, answered.id)
    return [pairs[key] for key in sorted(pairs)], {reason: count for reason, count in dropped.items() if count}


def dataset_id(author_id: str, pairs: Sequence[PreferencePair]) -> str:
    """Content hash of the pairs and of the code that made them."""
    return content_id("preference", CODE_VERSION, author_id, *(pair.id for pair in pairs))
