"""Joining rankings: pure functions over scores and vectors, without a database.

Every function takes candidates as arrays in the same order and returns new arrays; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.text.words import WORD, shingles

SPREAD_DEPTH = 20
VERBATIM_WEIGHT = 0.6
FEEDBACK_HITS = 5
FEEDBACK_WEIGHT = 0.6
NEIGHBOURS = 4
NEIGHBOURS_WEIGHT = 0.15
OPENING_WEIGHT = 0.15
SHORT = 4
"""Passages of a document up to which its opening says what all of it is about."""
LONG = 80
"""Passages of a document that are counted: of a longer one, the opening hardly counts."""
SAME_TEXT = 0.8
"""Two passages are the same when the shorter has this part of its runs of five words in the longer."""


@dataclass(frozen=True)
class Neighbours:
    """Of each candidate, the ``indices`` of those nearest to it and their ``likeness``, not negative; both of shape
    ``(candidates, neighbours)``."""

    indices: np.ndarray
    likeness: np.ndarray


def fuse(
    dense: np.ndarray,
    lexical: np.ndarray,
    weight: float,
    verbatim: np.ndarray | None = None,
    *,
    among: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Fused scores in [0, 1]: dense similarity over the range of the candidates, the weighted share of the best
    lexical score, and something on top for passages in which the query stands word for word.

    Lexical scores are divided by their best and not min-max normalised: where no word tells passages apart, they lie
    close together, and normalising would make much of nothing.

    Args:
        dense: cosine similarities, shape ``(candidates,)``.
        lexical: BM25 scores, same shape, 0 where no word matches.
        weight: of the lexical part, from :func:`lexical_weight`.
        verbatim: whether the query stands in the passage as it is, shape ``(candidates,)``.
        among: dense and lexical scores whose range and best count, where not those that are fused.
    """
    among_dense, among_lexical = among or (dense, lexical)
    normalised = unit(dense, among_dense)
    best = among_lexical.max()
    share = np.minimum(1, lexical / best) if best > 0 else np.zeros_like(lexical)
    scores = normalised + weight * share
    if verbatim is None:
        return scores / (1 + weight)
    return (scores + VERBATIM_WEIGHT * verbatim) / (1 + weight + VERBATIM_WEIGHT)


def unit(scores: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Scores min-max normalised to [0, 1] by their own range, or that of others; all 1 where those are equal."""
    among = scores if among is None else among
    low, high = among.min(), among.max()
    return np.clip((scores - low) / (high - low), 0, 1) if high > low else np.ones_like(scores)


def introduced(scores: np.ndarray, openings: np.ndarray, passages: np.ndarray) -> np.ndarray:
    """Scores to which the passage that opens the document adds its own: a short note says at its beginning what it is
    about, and its other passages, a command or a block of code, do not say it again (passage scores interpolated with
    those of their document, Callan 1994; Bendersky and Kurland 2008).

    Args:
        scores: of the candidates, in [0, 1], shape ``(candidates,)``.
        openings: the score of the opening of the document that each stands in, same shape.
        passages: how many passages that document has; of a long one the opening says little.
    """
    share = OPENING_WEIGHT * np.minimum(1, SHORT / passages)
    return (scores + share * openings) / (1 + OPENING_WEIGHT)


def lexical_weight(best: Sequence[float]) -> float:
    """How much to trust the lexical ranking of one query, in [0, 1].

    The sign comes from the ranking itself, as in query performance prediction (Shtok et al. 2012, "Predicting Query
    Performance by Query-Drift Estimation"): how far the first passage stands out from the twentieth. Where many
    passages match equally well, the query's words do not tell them apart.

    Args:
        best: BM25 scores of the best passages, best first.
    """
    if not best or best[0] <= 0:
        return 0.0
    tail = best[SPREAD_DEPTH - 1] if len(best) >= SPREAD_DEPTH else 0.0
    return (best[0] - tail) / best[0]


def feedback(query: np.ndarray, vectors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The query's vector moved towards those of the best candidates, by their scores (Rocchio 1971; pseudo-relevance
    feedback).

    Args:
        query: unit vector, shape ``(dimensions,)``.
        vectors: unit vectors of the candidates, shape ``(candidates, dimensions)``.
        scores: not negative, shape ``(candidates,)``.
    """
    best = np.argsort(-scores, kind="stable")[:FEEDBACK_HITS]
    total = scores[best].sum()
    if total <= 0:
        return query
    moved = query + FEEDBACK_WEIGHT * (scores[best] @ vectors[best]) / total
    return moved / np.linalg.norm(moved)


def neighbours(vectors: np.ndarray) -> Neighbours:
    """The candidates nearest in meaning to each candidate.

    Args:
        vectors: unit vectors, shape ``(candidates, dimensions)``; one that is all 0 has no neighbours.
    """
    likeness = np.clip(vectors @ vectors.T, 0, None)
    np.fill_diagonal(likeness, 0)
    count = min(NEIGHBOURS, len(vectors) - 1)
    nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
    return Neighbours(nearest, np.take_along_axis(likeness, nearest, axis=1))


def regularize(scores: np.ndarray, near: Neighbours) -> np.ndarray:
    """Scores of which a part comes from the candidates that are nearest in meaning: passages that say nearly the same
    are of nearly the same use (Diaz 2005, "Regularizing Ad Hoc Retrieval Scores").

    Args:
        scores: shape ``(candidates,)``.
    """
    total = near.likeness.sum(axis=1)
    lent = (near.likeness * scores[near.indices]).sum(axis=1) / np.where(total > 0, total, 1)
    return np.where(total > 0, (1 - NEIGHBOURS_WEIGHT) * scores + NEIGHBOURS_WEIGHT * lent, scores)


def recency(scores: np.ndarray, ages: np.ndarray, weight: float, half_life: float) -> np.ndarray:
    """Scores that prefer what is new: ``weight`` of them decays by half every ``half_life``.

    Args:
        ages: same unit as ``half_life``, not negative; ``nan`` where the date is unknown, which counts as old.
    """
    freshness = np.where(np.isnan(ages), 0.0, 0.5 ** (np.nan_to_num(ages) / half_life))
    return (1 - weight) * scores + weight * freshness


def diversify(scores: np.ndarray, vectors: np.ndarray, k: int, weight: float) -> list[int]:
    """Indices of ``k`` candidates by maximal marginal relevance (Carbonell and Goldstein 1998).

    Args:
        scores: in [0, 1].
        vectors: unit vectors, shape ``(candidates, dimensions)``.
        weight: 0 keeps the order, 1 looks only for what is different.
    """
    chosen: list[int] = []
    nearest = np.zeros(len(scores))
    left = np.ones(len(scores), bool)
    for _ in range(min(k, len(scores))):
        gain = np.where(left, (1 - weight) * scores - weight * nearest, -np.inf)
        index = int(np.argmax(gain))
        chosen.append(index)
        left[index] = False
        nearest = np.maximum(nearest, vectors @ vectors[index])
    return chosen


def runs_of(text: str) -> set[tuple[str, ...]]:
    """The runs of five words of a passage, in lower case."""
    return set(shingles([word.casefold() for word in WORD.findall(text)]))


def same_text(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    """Whether two passages, as :func:`runs_of`, say the same in the same words."""
    return len(one & other) >= SAME_TEXT * min(len(one), len(other))
