"""Whether canaries that an adapter was trained on are likelier to it than sentences alike that it never saw.

The exposure of a canary is how far ahead of the others it lies, in bits (Carlini et al. 2019, arXiv:1802.08232, "The
Secret Sharer"). By chance every place among them is as likely, whatever the base thinks of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.suite.canaries import ALIKE, Canary, canaries

_AT_ONCE = 8


@dataclass(frozen=True)
class Planted:
    """A canary that was learned from, first among sentences alike, in tokens."""

    canary: Canary
    rows: Sequence[Encoded]


def planted(tokenizer: Any, learned: Collection[str], author: str) -> list[Planted]:
    """The canaries among the samples that an adapter learned from."""
    return [
        Planted(each, [each.encoded(tokenizer, author, place) for place in range(ALIKE + 1)])
        for each in canaries(author)
        if each.id in learned
    ]


def ranks(model: Any, found: Sequence[Planted], pad_id: int) -> list[int]:
    """The place of each canary among sentences alike, 1 where a model finds it the likeliest."""
    places = []
    for each in found:
        own, *others = (loss for loss, _ in causal.losses(model, each.rows, pad_id, at_once=_AT_ONCE))
        places.append(1 + sum(loss <= own for loss in others))
    return places


def figures(found: Sequence[Planted], places: Sequence[int]) -> dict[str, Any] | None:
    """How exposed the canaries are; None where none was learned from.

    Returns:
        of each of ``canaries`` its ``text``, ``rank`` and ``exposure`` in bits; among how many sentences (``among``);
        and the probability ``p`` of such ranks by chance (Fisher's method, 1925).
    """
    if not found:
        return None
    from scipy.stats import chi2

    among = ALIKE + 1
    p = float(chi2.sf(-2 * sum(math.log(rank / among) for rank in places), 2 * len(places)))
    told = [
        {"text": each.canary.text(), "rank": rank, "exposure": round(math.log2(among / rank), 2)}
        for each, rank in zip(found, places, strict=True)
    ]
    return {"among": among, "canaries": told, "p": p}
