"""How good a ranking is, and how sure it is that one is better than another."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

DEPTHS = (1, 5, 10, 50)
FEWEST_DOCUMENTS = 4
"""Over fewer documents resampling sees next to nothing of how they differ."""


def ndcg(ranking: Sequence[str], relevant: frozenset[str], depth: int = 10) -> float:
    """Normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, key in enumerate(ranking[:depth], start=1) if key in relevant)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), depth) + 1))
    return gain / best if best else 0.0


def recall(ranking: Sequence[str], relevant: frozenset[str], depth: int) -> float:
    """Share of the relevant passages among the first ``depth``."""
    return len(relevant & set(ranking[:depth])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], relevant: frozenset[str]) -> float:
    """One over the rank of the first relevant passage, 0 where none was found."""
    return next((1 / rank for rank, key in enumerate(ranking, start=1) if key in relevant), 0.0)


def summarise(rankings: Sequence[Sequence[str]], relevant: Sequence[frozenset[str]]) -> dict[str, float]:
    """Means over all queries: nDCG@10, recall at several depths, MRR."""
    if not rankings:
        return {}
    pairs = list(zip(rankings, relevant, strict=True))
    found = {"ndcg@10": fmean(ndcg(ranking, keys) for ranking, keys in pairs)}
    for depth in DEPTHS:
        found[f"recall@{depth}"] = fmean(recall(ranking, keys, depth) for ranking, keys in pairs)
    found["mrr"] = fmean(reciprocal_rank(ranking, keys) for ranking, keys in pairs)
    return {name: round(value, 4) for name, value in found.items()}


def confidence_of_gain(
    before: Sequence[float], after: Sequence[float], documents: Sequence[str], *, rounds: int = 2000, seed: int = 7
) -> float:
    """How sure it is that the mean of ``after`` is above that of ``before`` on documents like these.

    By paired bootstrap (Efron 1979) over documents, because questions of one document share its words and gain or lose
    together (Field and Welsh 2007, on clusters): the share of resamples in which it is. 0 where fewer than
    :data:`FEWEST_DOCUMENTS` were asked about.

    Args:
        documents: that of each question.
    """
    gains: dict[str, list[float]] = defaultdict(list)
    for old, new, key in zip(before, after, documents, strict=True):
        gains[key].append(new - old)
    if len(gains) < FEWEST_DOCUMENTS:
        return 0.0
    generator = random.Random(seed)
    sums = [sum(each) for each in gains.values()]
    won = sum(sum(generator.choices(sums, k=len(sums))) > 0 for _ in range(rounds))
    return round(won / rounds, 4)
