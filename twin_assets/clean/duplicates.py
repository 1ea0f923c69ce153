"""Finding the same text twice, word for word or nearly, so that nothing is learned double.

Candidates come from MinHash with an LSH ensemble, which finds a short text inside a long one (Zhu et al. 2016,
"LSH Ensemble: Internet-Scale Domain Search"); what counts is the containment of word 5-grams (Broder 1997), which is
then computed exactly. Hashes and permutations are the same in every process.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasketch import MinHash

_N = 5
NEAR = 0.5
"""Share of the shorter text's 5-grams that the longer one holds, from which on they are one document."""
SHORT = 250
"""A text with fewer 5-grams has to lie in the other whole (:data:`WHOLE`, from :data:`TINY` 5-grams on), or both have
to share :data:`ALIKE`, counted on the longer one: short texts made to one pattern ("X is a species of fly in the genus
Y") hold most of each other and are not the same."""
WHOLE = 0.97
TINY = 60
ALIKE = 0.95
SAME_ADDRESS = 0.2
"""The same share for two texts that name one address as theirs; a wrong canonical link joins nothing."""
_PERMUTATIONS = 128
_PARTS = 8
_CANDIDATE = 0.3
_SEED = 1
_FEW = 12
"""Up to so many texts every pair is compared; an ensemble is not worth building."""


@dataclass(frozen=True)
class Duplicate:
    """``drop`` repeats ``keep``; ``containment`` is the share of the shorter text found in the longer."""

    drop: str
    keep: str
    containment: float


def shingles(text: str) -> frozenset[int]:
    """Hashes of the word 5-grams of a text, the same in every process; a shorter text is one shingle."""
    words = [zlib.crc32(word.encode()) for word in re.findall(r"[^\W_]+", text.casefold())]
    if len(words) < _N:
        return frozenset({hash(tuple(words))}) if words else frozenset()
    return frozenset(hash(tuple(words[i : i + _N])) for i in range(len(words) - _N + 1))


def find_duplicates(
    texts: Mapping[str, str],
    preference: Sequence[str],
    near: float = NEAR,
    addresses: Mapping[str, Iterable[str]] | None = None,
) -> list[Duplicate]:
    """Pairs of texts of which one repeats the other.

    Args:
        texts: text by id.
        preference: all ids, the ones to keep first.
        near: containment from which on two texts are one.
        addresses: the URLs each text is known under; texts that share one are joined on much weaker likeness.
    """
    grams = {key: shingles(texts[key]) for key in preference}
    rank = {key: index for index, key in enumerate(preference)}
    shared = set(_sharing(addresses or {}, rank))
    pairs: list[tuple[int, int, float]] = []
    for first, second in shared | set(_candidates(grams, rank)):
        smaller, larger = sorted((len(grams[first]), len(grams[second])))
        common = len(grams[first] & grams[second])
        containment = common / smaller if smaller else 0.0
        if (first, second) in shared:
            joined = containment >= min(near, SAME_ADDRESS)
        elif smaller < SHORT:
            inside = smaller >= TINY and containment >= max(near, WHOLE)
            joined = inside or (larger > 0 and common / larger >= max(near, ALIKE))
        else:
            joined = containment >= near
        if joined:
            pairs.append((rank[first], rank[second], containment))
    dropped: dict[str, Duplicate] = {}
    for first, second, containment in sorted(pairs):
        keep, drop = str(preference[first]), str(preference[second])
        if keep not in dropped and drop not in dropped:
            dropped[drop] = Duplicate(drop, keep, round(containment, 3))
    return list(dropped.values())


def _sharing(addresses: Mapping[str, Iterable[str]], rank: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    first_of: dict[str, str] = {}
    for key in rank:
        for address in addresses.get(key, ()):
            other = first_of.setdefault(address, key)
            if other != key:
                yield other, key


def _candidates(grams: Mapping[str, frozenset[int]], rank: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Pairs that may contain one another, the preferred text first."""
    keys = [key for key in rank if grams[key]]
    if len(keys) <= _FEW:
        yield from ((first, second) for i, first in enumerate(keys) for second in keys[i + 1 :])
        return
    from datasketch import MinHashLSHEnsemble

    sketches = {key: _sketch(grams[key]) for key in keys}
    ensemble = MinHashLSHEnsemble(threshold=_CANDIDATE, num_perm=_PERMUTATIONS, num_part=_PARTS, weights=(0.1, 0.9))
    ensemble.index([(key, sketches[key], len(grams[key])) for key in keys])
    for key in keys:
        for other in ensemble.query(sketches[key], len(grams[key])):
            if other != key:
                yield (key, str(other)) if rank[key] < rank[str(other)] else (str(other), key)


def _sketch(grams: frozenset[int]) -> MinHash:
    import numpy as np
    from datasketch import MinHash

    sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED, hashfunc=int)
    sketch.update_batch(np.fromiter(grams, dtype=np.int64, count=len(grams)).astype(np.uint64) % (1 << 32))
    return sketch
