"""Finding the same text twice, word for word or nearly, so that nothing is learned double.

Candidates come from MinHash with an LSH ensemble (:mod:`twin_resources.text.candidates`); what counts is containment
in word 5-grams (Broder 1997), which is then computed exactly. Hashes and permutations are the same in every process.

Of each text some 40 bytes are kept in memory (:class:`Outlines`), its signature and its key lie in temporary files, and
texts are read again for the pairs that may be one.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Self

import numpy as np

from twin_resources.text.candidates import Signatures, candidates, signature
from twin_resources.text.words import grams

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

_KEY_BYTES = 32

Texts = Callable[[Iterable[str]], Iterable[tuple[str, str]]]
"""(key, text) of the keys asked for; one that is gone is left out."""


@dataclass(frozen=True)
class Preference:
    """What decides which of two equal texts is kept, before the order of their keys: one that is ``whole`` before a
    preview, one that is ``structured`` before one without paragraphs, then the one that was published first."""

    whole: bool = True
    structured: bool = True
    published_at: datetime | None = None


@dataclass(frozen=True)
class Duplicate:
    """``drop`` repeats ``keep``, word for word where it is ``exact``; ``containment`` is the share of the shorter text
    found in the longer."""

    drop: str
    keep: str
    containment: float
    exact: bool


@dataclass(frozen=True)
class _Text:
    digest: bytes
    grams: np.ndarray


class Outlines:
    """What is kept of texts while it is decided which of them are one. Texts are added in the order of their keys.

    Use it in a ``with`` statement.
    """

    def __init__(self) -> None:
        self._keys = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving the with statement
        self._count = 0
        self._flags = array("b")
        self._published = array("q")
        self._addresses, self._addressed = array("Q"), array("I")
        self._signatures = Signatures()
        self._sizes, self._signed = array("I"), array("I")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keys.close()
        self._signatures.__exit__()

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, text: str, preference: Preference, addresses: Iterable[str] = ()) -> None:
        """Add a text.

        Args:
            key: names it, in up to 32 bytes.
            addresses: the URLs it is known under; texts that share one are joined on much weaker likeness.

        Raises:
            ValueError: the key is too long.
        """
        named = key.encode()
        if len(named) > _KEY_BYTES:
            raise ValueError(f"the key {key!r} is longer than {_KEY_BYTES} bytes")
        self._keys.write(named.ljust(_KEY_BYTES, b"\0"))
        self._flags.append(2 * (not preference.whole) + (not preference.structured))
        published = preference.published_at
        self._published.append(2**63 - 1 if published is None else round(published.timestamp() * 1_000_000))
        for address in addresses:
            self._addresses.append(int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8).digest()))
            self._addressed.append(self._count)
        if found := grams(text):
            self._signatures.add(signature(tuple(found)))
            self._sizes.append(len(found))
            self._signed.append(self._count)
        self._count += 1

    def keys(self, rows: Iterable[int]) -> list[str]:
        """The keys of texts by the order in which they were added."""
        self._keys.flush()
        places = (os.pread(self._keys.fileno(), _KEY_BYTES, _KEY_BYTES * int(row)) for row in rows)
        return [place.rstrip(b"\0").decode() for place in places]

    def order(self) -> np.ndarray:
        """The rows of the texts, the ones to keep first."""
        return np.lexsort((np.frombuffer(self._published, np.int64), np.frombuffer(self._flags, np.int8)))

    def pairs(self, rank: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
        """Codes ``first * texts + second`` of pairs to compare, in order, the preferred text first, each text by its
        rank; and for each pair whether both are known under one address."""
        shared = self._sharing(rank)
        rows = np.frombuffer(self._signed, np.uint32)
        if len(rows) <= _FEW:
            low, high = np.triu_indices(len(rows), 1)
            found = np.stack([low, high], axis=1)
        else:
            sizes = np.frombuffer(self._sizes, np.uint32)
            found = candidates(self._signatures, sizes, functools.partial(_least_alike, near=near))
        first, second = rank[rows[found[:, 0]]], rank[rows[found[:, 1]]]
        codes = np.union1d(shared, _codes(np.minimum(first, second), np.maximum(first, second), self._count))
        return codes, np.isin(codes, shared)

    def _sharing(self, rank: np.ndarray) -> np.ndarray:
        """Codes of the pairs of each text with the most preferred one that is known under one of its addresses."""
        addresses = np.frombuffer(self._addresses, np.uint64)
        ranks = rank[np.frombuffer(self._addressed, np.uint32)]
        order = np.lexsort((ranks, addresses))
        addresses, ranks = addresses[order], ranks[order]
        fresh = np.ones(len(addresses), bool)
        fresh[1:] = addresses[1:] != addresses[:-1]
        if not len(addresses):
            return np.empty(0, np.int64)
        first = ranks[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
        return np.unique(_codes(first, ranks, self._count)[first != ranks])


def _least_alike(smaller: np.ndarray, larger: np.ndarray, near: float) -> np.ndarray:
    """The Jaccard similarity from which on two texts are one, as :func:`find_duplicates` decides it: 1 for never."""
    inside = np.where(smaller >= TINY, max(near, WHOLE) * smaller, np.inf)
    short = np.minimum(inside, max(near, ALIKE) * larger)
    common = np.where(smaller >= SHORT, near * smaller, short)
    return np.where(common <= smaller, common / (smaller + larger - np.minimum(common, smaller)), 1.0)


def _codes(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    return first.astype(np.int64) * count + second


def find_duplicates(outlines: Outlines, texts: Texts, *, near: float = NEAR) -> Iterator[Duplicate]:
    """Pairs of texts of which one repeats the other.

    Args:
        texts: reads the texts of a few keys again.
        near: containment from which on two texts are one.
    """
    if not len(outlines):
        return
    order = outlines.order()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes, shared = outlines.pairs(rank, near)
    del rank
    dropped = np.zeros(len(order), bool)
    for (first, one), (second, other), share in _compared(outlines, order, codes, shared, dropped, texts):
        smaller, larger = sorted((len(one.grams), len(other.grams)))
        common = len(np.intersect1d(one.grams, other.grams, assume_unique=True))
        containment = common / smaller if smaller else 0.0
        if share:
            joined = containment >= min(near, SAME_ADDRESS)
        elif smaller < SHORT:
            inside = smaller >= TINY and containment >= max(near, WHOLE)
            joined = inside or (larger > 0 and common / larger >= max(near, ALIKE))
        else:
            joined = containment >= near
        if joined:
            dropped[second] = True
            keep, drop = outlines.keys((order[first], order[second]))
            yield Duplicate(drop, keep, round(containment, 3), one.digest == other.digest)


def _compared(
    outlines: Outlines, order: np.ndarray, codes: np.ndarray, shared: np.ndarray, dropped: np.ndarray, texts: Texts
) -> Iterator[tuple[tuple[int, _Text], tuple[int, _Text], bool]]:
    """Each pair, by its ranks, with what its texts hold, which are read again; at most :data:`_HELD` are held at once.

    Pairs of which one text is ``dropped`` by then decide nothing and are passed over.
    """
    held: OrderedDict[int, _Text] = OrderedDict()

    def read(ranks: Sequence[int]) -> dict[int, _Text]:
        unknown = [each for each in ranks if each not in held]
        if unknown:
            named = dict(zip(outlines.keys(order[unknown]), unknown, strict=True))
            held.update((named[key], _held(text)) for key, text in texts(named))
        for each in ranks:
            if each in held:
                held.move_to_end(each)
        found = {each: held.get(each, _NOTHING) for each in ranks}
        while len(held) > _HELD:
            held.popitem(last=False)
        return found

    numbered = ((int(code) // len(order), index) for index, code in enumerate(codes))
    for first, group in groupby(numbered, key=lambda pair: pair[0]):
        if dropped[first]:
            continue
        others = [(int(codes[index] % len(order)), bool(shared[index])) for _, index in group]
        others = [pair for pair in others if not dropped[pair[0]]]
        for start in range(0, len(others), _HELD // 4):
            page = others[start : start + _HELD // 4]
            found = read([first, *(second for second, _ in page)])
            for second, share in page:
                if not dropped[second]:
                    yield (first, found[first]), (second, found[second]), share


def _held(text: str) -> _Text:
    found = grams(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return _Text(digest, np.fromiter(found, np.int64, len(found)))


_NOTHING = _Text(b"", np.empty(0, np.int64))
