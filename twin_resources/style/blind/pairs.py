"""Pairs of texts on one subject, the author's and an adapter's, that differ in nothing but who wrote them.

Both are prose in one typography, without markup, and end with a sentence at nearly the same length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from twin_resources.style.prose import located, readable, word_count
from twin_resources.text.identity import content_id

FEWEST_WORDS = 40
"""Of less a reader cannot say whose it is."""
_UNEQUAL = 0.1
"""By which share of the longer one lengths may differ; a reader does not see that."""
_ENDED = re.compile(r"[.!?…][\"')\]]*$")


@dataclass(frozen=True)
class Pair:
    """What its author (``own``) and an adapter (``written``) wrote to one instruction."""

    document_id: str
    instruction: str
    own: str
    written: str

    @property
    def id(self) -> str:
        """The hash of what it says."""
        return content_id("blind-pair", self.document_id, self.instruction, self.own, self.written)

    @classmethod
    def of(cls, document_id: str, instruction: str, own: Sequence[str], written: str) -> Pair | None:
        """The longest two beginnings of like length; None where there are none of :data:`FEWEST_WORDS`.

        Args:
            own: sentences of the author, as :func:`~twin_resources.style.prose.readable` gives them.
            written: Markdown of a model, which may break off within a sentence.
        """
        theirs = [readable(written[start:end]) for _, start, end in located(written)]
        if theirs and not _ENDED.search(theirs[-1]):
            theirs.pop()
        one, other = (list(accumulate(map(word_count, each))) for each in (own, theirs))
        fitting = [
            (min(mine, its), -abs(mine - its), first, second)
            for first, mine in enumerate(one, 1)
            for second, its in enumerate(other, 1)
            if min(mine, its) >= FEWEST_WORDS and abs(mine - its) <= _UNEQUAL * max(mine, its)
        ]
        if not fitting:
            return None
        *_, first, second = max(fitting)
        return cls(document_id, instruction, " ".join(own[:first]), " ".join(theirs[:second]))


def pairs_in(figures: Mapping[str, Any]) -> list[Pair]:
    """The pairs that the metrics of a style report hold; none in one that was made before there were any."""
    return [Pair(**row) for row in figures.get("pairs", ())]
