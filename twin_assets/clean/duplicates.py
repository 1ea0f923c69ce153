"""Finding the same text twice, word for word or nearly, so that nothing is learned double.

Containment of word 5-grams (Broder 1997) is computed exactly: at the scale of one author's work that is cheaper than
estimating it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_N = 5
_TOO_COMMON = 50
NEAR = 0.5
"""Share of the shorter text's 5-grams that the longer one holds, from which on they are one document."""


@dataclass(frozen=True)
class Duplicate:
    """``drop`` repeats ``keep``; ``containment`` is the share of the shorter text found in the longer."""

    drop: str
    keep: str
    containment: float


def shingles(text: str) -> frozenset[int]:
    """Hashes of the word 5-grams of a text; a shorter text is one shingle."""
    words = re.findall(r"[^\W_]+", text.casefold())
    if len(words) < _N:
        return frozenset({hash(tuple(words))}) if words else frozenset()
    return frozenset(hash(tuple(words[i : i + _N])) for i in range(len(words) - _N + 1))


def find_duplicates(texts: Mapping[str, str], preference: Sequence[str], near: float = NEAR) -> list[Duplicate]:
    """Pairs of texts of which one repeats the other.

    Args:
        texts: text by id.
        preference: all ids, the ones to keep first.
        near: containment from which on two texts are one.
    """
    grams = {key: shingles(texts[key]) for key in preference}
    holders: dict[int, list[str]] = defaultdict(list)
    for key in preference:
        for gram in grams[key]:
            holders[gram].append(key)
    shared: Counter[tuple[str, str]] = Counter()
    for keys in holders.values():
        if 1 < len(keys) <= _TOO_COMMON:
            for i, first in enumerate(keys):
                for second in keys[i + 1 :]:
                    shared[first, second] += 1
    rank = {key: index for index, key in enumerate(preference)}
    pairs = sorted(
        (rank[first], rank[second], count / min(len(grams[first]), len(grams[second])))
        for (first, second), count in shared.items()
        if count / min(len(grams[first]), len(grams[second])) >= near
    )
    dropped: dict[str, Duplicate] = {}
    for first, second, containment in pairs:
        keep, drop = preference[first], preference[second]
        if keep not in dropped and drop not in dropped:
            dropped[drop] = Duplicate(drop, keep, round(containment, 3))
    return list(dropped.values())
