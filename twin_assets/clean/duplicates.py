"""Finding the same text twice, word for word or nearly, so that nothing is learned double.

Candidates come from MinHash with an LSH ensemble (:mod:`twin_assets.clean.candidates`); what counts is the containment
of word 5-grams (Broder 1997), which is then computed exactly. Hashes and permutations are the same in every process.

Of each text only an :class:`Outline` of fixed size is kept; texts are read again for the pairs that may be one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from twin_assets.clean.candidates import candidates, signature
from twin_resources.text.words import plain_words, shingles

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
_FEW = 12
"""Up to so many texts every pair is compared; signatures are not worth making."""
_HELD = 256
"""Texts whose 5-grams are held while pairs are compared."""

Texts = Callable[[Iterable[str]], Iterable[tuple[str, str]]]
"""(id, text) of the ids asked for; one that is gone is left out."""


@dataclass(frozen=True)
class Outline:
    """What is kept of a text: the ``digest`` tells equal texts, ``blocks`` are its paragraphs, ``grams`` counts its
    distinct 5-grams and ``signature`` is their MinHash, ``uint32`` of shape ``(128,)``, 0 for a text without words."""

    digest: bytes
    blocks: int
    grams: int
    signature: np.ndarray


@dataclass(frozen=True)
class Duplicate:
    """``drop`` repeats ``keep``; ``containment`` is the share of the shorter text found in the longer."""

    drop: str
    keep: str
    containment: float


def grams(text: str) -> frozenset[int]:
    """Hashes of the word 5-grams of a text, the same in every process; a shorter text is one."""
    words = [zlib.crc32(word.encode()) for word in plain_words(text)]
    return frozenset(map(hash, shingles(words))) if words else frozenset()


def outline(text: str) -> Outline:
    """The outline of a text."""
    found = grams(text)
    sketch = signature(tuple(found)) if found else np.zeros(128, np.uint32)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return Outline(digest, text.count("\n\n") + 1, len(found), sketch)


def find_duplicates(
    outlines: Mapping[str, Outline],
    preference: Sequence[str],
    texts: Texts,
    *,
    near: float = NEAR,
    addresses: Mapping[str, Iterable[str]] | None = None,
) -> list[Duplicate]:
    """Pairs of texts of which one repeats the other.

    Args:
        outlines: outline of each text by id.
        preference: all ids, the ones to keep first.
        texts: reads the texts of a few ids again.
        near: containment from which on two texts are one.
        addresses: the URLs each text is known under; texts that share one are joined on much weaker likeness.
    """
    rank = {key: index for index, key in enumerate(preference)}
    shared = set(_sharing(addresses or {}, preference))
    pairs: list[tuple[int, int, float]] = []
    for first, second, one, other in _compared(shared | set(_candidates(outlines, preference)), texts, rank):
        smaller, larger = sorted((len(one), len(other)))
        common = len(one & other)
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


def _sharing(addresses: Mapping[str, Iterable[str]], preference: Sequence[str]) -> Iterator[tuple[str, str]]:
    first_of: dict[str, str] = {}
    for key in preference:
        for address in addresses.get(key, ()):
            other = first_of.setdefault(address, key)
            if other != key:
                yield other, key


def _candidates(outlines: Mapping[str, Outline], preference: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs that may contain one another, the preferred text first."""
    keys = [key for key in preference if outlines[key].grams]
    if len(keys) <= _FEW:
        yield from ((first, second) for i, first in enumerate(keys) for second in keys[i + 1 :])
        return
    signatures = np.stack([outlines[key].signature for key in keys])
    sizes = np.array([outlines[key].grams for key in keys])
    yield from ((keys[first], keys[second]) for first, second in candidates(signatures, sizes))


def _compared(
    pairs: set[tuple[str, str]], texts: Texts, rank: Mapping[str, int]
) -> Iterator[tuple[str, str, frozenset[int], frozenset[int]]]:
    """Each pair with the 5-grams of both, whose texts are read again; at most :data:`_HELD` are held at a time."""
    held: OrderedDict[str, frozenset[int]] = OrderedDict()
    ordered = sorted(pairs, key=lambda pair: (rank[pair[0]], rank[pair[1]]))
    for first, group in groupby(ordered, key=lambda pair: pair[0]):
        others = [second for _, second in group]
        one = _held(held, [first], texts)[first]
        for start in range(0, len(others), _HELD // 4):
            page = others[start : start + _HELD // 4]
            found = _held(held, page, texts)
            for second in page:
                yield first, second, one, found[second]


def _held(held: OrderedDict[str, frozenset[int]], keys: Sequence[str], texts: Texts) -> dict[str, frozenset[int]]:
    """5-grams of a few texts, from those that are held where they are."""
    unknown = [key for key in keys if key not in held]
    if unknown:
        held.update((key, grams(text)) for key, text in texts(unknown))
    for key in keys:
        if key in held:
            held.move_to_end(key)
    found = {key: held.get(key, frozenset()) for key in keys}
    while len(held) > _HELD:
        held.popitem(last=False)
    return found
