"""Samples of one split that repeat another: only one of them should be learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from twin_resources.quality.likeness import Pair
from twin_resources.quality.samples import Check, Flag, Sample

EXACT = Check("exact_duplicate", "the same words as another sample", allowed=0.01)
NEAR = Check("near_duplicate", "nearly the same words as another sample", allowed=0.02)
MEANING = Check("same_meaning", "says what another sample says in other words", allowed=0.05)
CHECKS = (EXACT, NEAR, MEANING)
BY_KIND = {"exact": EXACT, "near": NEAR, "meaning": MEANING}
_CLEARLY = 0.1
"""By how much more of one sample stands in the sources than of the other, so that it is the one to keep."""


def repeats(pairs: Iterable[Pair], splits: Sequence[str], verbatim: Sequence[float]) -> Iterator[tuple[int, int, Pair]]:
    """For each pair within one split, the row to leave out, the row it repeats, and the pair.

    The one to leave out is the one of which less stands in the sources word for word, else the later one.
    """
    for pair in pairs:
        if splits[pair.first] == splits[pair.second]:
            keep, drop = pair.first, pair.second
            if pair.kind != "exact" and verbatim[drop] > verbatim[keep] + _CLEARLY:
                keep, drop = drop, keep
            yield drop, keep, pair


def inspect(
    pairs: Iterable[Pair], splits: Sequence[str], verbatim: Sequence[float], read: Callable[[int], Sample]
) -> Iterator[Flag]:
    """What repeats something else within its split, each sample once a check."""
    seen: set[tuple[int, str]] = set()
    for drop, keep, pair in repeats(pairs, splits, verbatim):
        check = BY_KIND[pair.kind]
        if (drop, check.name) not in seen:
            seen.add((drop, check.name))
            how = "the same words as" if pair.kind == "exact" else f"{pair.share:.0%} alike to"
            yield Flag(read(drop).index, check.name, f"{how} sample {read(keep).index}")
