"""Which texts may lie in one another, from MinHash signatures kept in arrays.

The method is an LSH ensemble (Zhu et al. 2016, "LSH Ensemble: Internet-Scale Domain Search"), which finds a short text
inside a long one. Its parameters and partitions are those of :class:`datasketch.MinHashLSHEnsemble`, and it finds the
same pairs; the hash tables, some 100 KB a text, are replaced by sorting one band of the signatures at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

PERMUTATIONS = 128
_PARTS = 8
_CANDIDATE = 0.3
_SEED = 1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def signature(grams: Sequence[int]) -> np.ndarray:
    """The MinHash of a set of hashes, ``uint32`` of shape ``(PERMUTATIONS,)``; the same in every process."""
    from datasketch import MinHash

    sketch = MinHash(num_perm=PERMUTATIONS, seed=_SEED, hashfunc=int)
    sketch.update_batch(np.fromiter(grams, dtype=np.int64, count=len(grams)).astype(np.uint64) % (1 << 32))
    return np.asarray(sketch.hashvalues).astype(np.uint32)


def candidates(signatures: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of indices, the smaller first, of sets of which one may hold a good part of the other.

    Args:
        signatures: of the sets, shape ``(sets, PERMUTATIONS)``.
        sizes: how many elements each set has, shape ``(sets,)``, not 0.
    """
    ratios, bands = _parameters()
    found: set[int] = set()
    for members, upper in _partitions(sizes):
        chosen = np.minimum(np.searchsorted(ratios, upper / sizes.astype(float), side="left"), len(bands) - 1)
        for choice in np.unique(chosen):
            count, width = bands[choice]
            queries = np.flatnonzero(chosen == choice)
            for band in range(count):
                columns = slice(band * width, (band + 1) * width)
                found.update(_matches(signatures[:, columns], queries, members))
    for code in sorted(found):
        yield divmod(code, len(sizes))


def _matches(band: np.ndarray, queries: np.ndarray, members: np.ndarray) -> list[int]:
    """Codes ``smaller * sets + larger`` of the queries and members that agree in one band of their signatures."""
    keys = _mixed(band)
    order = members[np.argsort(keys[members], kind="stable")]
    held = keys[order]
    start = np.searchsorted(held, keys[queries], side="left")
    counts = np.searchsorted(held, keys[queries], side="right") - start
    first = np.repeat(queries, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    second = order[np.repeat(start, counts) + within]
    same = (first != second) & (band[first] == band[second]).all(axis=1)
    low, high = np.minimum(first, second)[same], np.maximum(first, second)[same]
    return np.unique(low.astype(np.int64) * len(band) + high).tolist()


def _mixed(band: np.ndarray) -> np.ndarray:
    """One 64-bit key for each row of a band; equal rows have equal keys."""
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = (keys ^ column.astype(np.uint64)) * _MULTIPLIER
        keys ^= keys >> _SHIFT
    return keys


def _partitions(sizes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """The indices of each partition by size, and the size of its largest member."""
    from datasketch.lshensemble_partition import optimal_partitions

    distinct, counts = np.unique(sizes, return_counts=True)
    uppers = [int(upper) for _, upper in optimal_partitions(distinct, counts, _PARTS)]
    place = np.searchsorted(uppers, sizes, side="left")
    for part, upper in enumerate(uppers):
        yield np.flatnonzero(place == part), upper


@functools.cache
def _parameters() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Ratios of sizes, and for each (bands, rows in a band) that misses and adds the fewest pairs."""
    from datasketch import MinHashLSHEnsemble

    ensemble: Any = MinHashLSHEnsemble(threshold=_CANDIDATE, num_perm=PERMUTATIONS, num_part=_PARTS, weights=(0.1, 0.9))
    return ensemble.xqs, [(int(bands), int(rows)) for bands, rows in ensemble.params]
