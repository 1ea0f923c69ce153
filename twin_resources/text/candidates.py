"""Which texts may lie in one another, from MinHash signatures kept in a temporary file.

The method is an LSH ensemble (Zhu et al. 2016, "LSH Ensemble: Internet-Scale Domain Search"), which finds a short text
inside a long one. Its parameters and partitions are those of :class:`datasketch.MinHashLSHEnsemble`, and it finds the
same pairs; the hash tables, some 100 KB a text, are replaced by sorting one band of the signatures at a time, for which
only the columns of that band are read.
"""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

PERMUTATIONS = 128
_PARTS = 8
_CANDIDATE = 0.3
_SEED = 1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_BLOCK = 512
_LOST = 1e-4
_QUERIES = 8192
"""Sets that are looked up at a time."""
_PAIRS = 20_000
"""Pairs that are held before they are sifted."""

Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]


def signature(grams: Sequence[int]) -> np.ndarray:
    """The MinHash of a set of hashes, ``uint32`` of shape ``(PERMUTATIONS,)``; the same in every process."""
    from datasketch import MinHash

    permutations, scheme = _permutations()
    sketch = MinHash(PERMUTATIONS, _SEED, hashfunc=int, permutations=permutations, scheme=scheme)
    sketch.update_batch(np.fromiter(grams, dtype=np.int64, count=len(grams)).astype(np.uint64) % (1 << 32))
    return np.asarray(sketch.hashvalues).astype(np.uint32)


@functools.cache
def _permutations() -> tuple[Any, Any]:
    """Those of every signature, and their scheme; to draw them takes longer than to use them."""
    from datasketch import MinHash

    drawn = MinHash(num_perm=PERMUTATIONS, seed=_SEED)
    return drawn.permutations, drawn.scheme


class Signatures:
    """Signatures in two temporary files, 512 bytes each in either, so that a column and a row are read without the
    others. Use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed on leaving the with statement
        self._rows = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving the with statement
        self._block = np.empty((PERMUTATIONS, _BLOCK), np.uint32)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._rows.close()

    def __len__(self) -> int:
        return self._count

    def add(self, found: np.ndarray) -> None:
        """Add the signature of one more set, of shape ``(PERMUTATIONS,)``."""
        self._block[:, self._count % _BLOCK] = found
        self._rows.write(found.tobytes())
        self._count += 1
        if self._count % _BLOCK == 0:
            self._file.write(self._block.tobytes())

    def column(self, number: int) -> np.ndarray:
        """One value of every signature, ``uint32`` in the order they were added."""
        whole, left = divmod(self._count, _BLOCK)
        found = np.empty(self._count, np.uint32)
        size = 4 * _BLOCK
        for block in range(whole):
            data = os.pread(self._file.fileno(), size, (block * PERMUTATIONS + number) * size)
            found[block * _BLOCK : (block + 1) * _BLOCK] = np.frombuffer(data, np.uint32)
        found[whole * _BLOCK :] = self._block[number, :left]
        return found

    def agreeing(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """In how many of their values the signatures of each pair of sets agree."""
        self._rows.flush()
        size = 4 * PERMUTATIONS

        def read(sets: np.ndarray) -> np.ndarray:
            data = b"".join(os.pread(self._rows.fileno(), size, int(each) * size) for each in sets)
            return np.frombuffer(data, np.uint32).reshape(-1, PERMUTATIONS)

        found = np.empty(len(low), np.int16)
        for at in range(0, len(low), _BLOCK):
            some = slice(at, at + _BLOCK)
            found[some] = (read(low[some]) == read(high[some])).sum(axis=1)
        return found


def candidates(signatures: Signatures, sizes: np.ndarray, alike: Alike | None = None) -> np.ndarray:
    """Pairs of sets of which one may hold a good part of the other.

    Args:
        signatures: of the sets.
        sizes: how many elements each set has, shape ``(sets,)``, not 0.
        alike: what the Jaccard similarity of two sets has to be to matter, from their sizes, the smaller one first.
            Pairs that the whole signatures show to be less alike are left out: one that is just as alike as it has
            to be is lost once in ten thousand times, far less often than the bands miss it. A sentence that many
            texts end with would else pair all of them.

    Returns:
        ``int64`` of shape ``(pairs, 2)``: indices of sets, the smaller one first, in order.
    """
    ratios, bands = _parameters()
    found = np.empty(0, np.int64)
    for members, upper in _partitions(sizes):
        chosen = np.searchsorted(ratios, upper / sizes.astype(float), side="left")
        chosen = np.minimum(chosen, len(bands) - 1).astype(np.int16)
        for choice in np.unique(chosen):
            count, width = bands[choice]
            queries = np.flatnonzero(chosen == choice).astype(np.int32)
            for band in range(count):
                columns = range(band * width, (band + 1) * width)
                for codes in _matches(signatures, columns, queries, members):
                    fresh = np.setdiff1d(codes, found, assume_unique=True)
                    if alike is not None and len(fresh):
                        fresh = fresh[_may_be(signatures, sizes, fresh, alike)]
                    found = np.union1d(found, fresh)
    return np.stack(np.divmod(found, max(1, len(sizes))), axis=1)


def _may_be(signatures: Signatures, sizes: np.ndarray, codes: np.ndarray, alike: Alike) -> np.ndarray:
    """Which of the pairs agree in as many values as they would, were they as alike as they have to be."""
    low, high = np.divmod(codes, len(sizes))
    smaller, larger = np.minimum(sizes[low], sizes[high]), np.maximum(sizes[low], sizes[high])
    least = np.searchsorted(_agreements(), alike(smaller.astype(float), larger.astype(float)), side="right")
    return signatures.agreeing(low, high) >= least


@functools.cache
def _agreements() -> np.ndarray:
    """For each count from 1, the Jaccard similarity from which on fewer equal values are as rare as :data:`_LOST`."""
    similarities = np.linspace(0, 1, 2001)[1:-1]
    counts = np.arange(PERMUTATIONS)
    ways = np.array([math.comb(PERMUTATIONS, int(count)) for count in counts], float)
    chances = ways * similarities[:, None] ** counts * (1 - similarities[:, None]) ** (PERMUTATIONS - counts)
    rare = np.cumsum(chances, axis=1) <= _LOST
    return np.where(rare.any(axis=0), similarities[rare.argmax(axis=0)], 1.0)


def _matches(
    signatures: Signatures, columns: Sequence[int], queries: np.ndarray, members: np.ndarray
) -> Iterator[np.ndarray]:
    """Codes ``smaller * sets + larger`` of the queries and members that agree in one band of their signatures, some
    :data:`_PAIRS` at a time: where many sets share an element, a band may hold nearly every pair of them."""
    keys = _mixed(signatures, columns)
    order = members[np.argsort(keys[members], kind="stable")]
    held = keys[order]
    for at in range(0, len(queries), _QUERIES):
        some = queries[at : at + _QUERIES]
        start = np.searchsorted(held, keys[some], side="left")
        counts = np.searchsorted(held, keys[some], side="right") - start
        ends = np.cumsum(counts)
        cuts = np.flatnonzero(np.diff(ends // _PAIRS)) + 1
        for part in np.split(np.arange(len(some)), cuts):
            first = np.repeat(some[part], counts[part])
            within = np.arange(len(first)) - np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
            second = order[np.repeat(start[part], counts[part]) + within]
            low, high = np.minimum(first, second), np.maximum(first, second)
            yield _equal(signatures, columns, np.unique((low.astype(np.int64) * len(keys) + high)[low != high]))


def _equal(signatures: Signatures, columns: Sequence[int], codes: np.ndarray) -> np.ndarray:
    """The pairs whose values in a band are equal, not only their keys."""
    low, high = np.divmod(codes, len(signatures))
    same = np.ones(len(codes), bool)
    for number in columns if len(codes) else ():
        column = signatures.column(number)
        same &= column[low] == column[high]
    return codes[same]


def _mixed(signatures: Signatures, columns: Sequence[int]) -> np.ndarray:
    """One 64-bit key for each set by its values in a band; equal values have equal keys."""
    keys = np.zeros(len(signatures), np.uint64)
    for number in columns:
        keys ^= signatures.column(number)
        keys *= _MULTIPLIER
        keys ^= keys >> _SHIFT
    return keys


def _partitions(sizes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """The indices of each partition by size, and the size of its largest member."""
    from datasketch.lshensemble_partition import optimal_partitions

    distinct, counts = np.unique(sizes, return_counts=True)
    uppers = [int(upper) for _, upper in optimal_partitions(distinct.astype(np.int64), counts, _PARTS)]
    place = np.searchsorted(uppers, sizes, side="left").astype(np.int8)
    for part, upper in enumerate(uppers):
        yield np.flatnonzero(place == part).astype(np.int32), upper


@functools.cache
def _parameters() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Ratios of sizes, and for each (bands, rows in a band) that misses and adds the fewest pairs."""
    from datasketch import MinHashLSHEnsemble

    ensemble: Any = MinHashLSHEnsemble(threshold=_CANDIDATE, num_perm=PERMUTATIONS, num_part=_PARTS, weights=(0.1, 0.9))
    return ensemble.xqs, [(int(bands), int(rows)) for bands, rows in ensemble.params]
