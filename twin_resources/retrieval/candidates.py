"""Candidates of a search: what each ranking says of them, the scores made of it, and their order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.retrieval import bm25, fusion
from twin_resources.retrieval.options import Mode, Options

HALF_LIFE_DAYS = 365.0


@dataclass
class Openings:
    """The passages that open the documents of candidates: unit ``vectors`` of shape ``(documents, dimensions)``, the
    ``query`` they are compared with, their BM25 scores, how many passages each document has, and the row ``of`` each
    candidate."""

    vectors: np.ndarray
    query: np.ndarray
    lexical: np.ndarray
    passages: np.ndarray
    of: np.ndarray


@dataclass
class Candidates:
    """Passages under consideration, as arrays in one order."""

    ids: list[str]
    dense: np.ndarray
    lexical: np.ndarray
    ages: np.ndarray
    vectors: np.ndarray
    verbatim: np.ndarray
    expanded: np.ndarray | None = None
    openings: Openings | None = None

    def expand(self, query: np.ndarray) -> None:
        """Compare everything with another ``query``, shape ``(dimensions,)``."""
        self.expanded = self.vectors @ query
        if self.openings is not None:
            self.openings.query = query

    @functools.cached_property
    def neighbours(self) -> fusion.Neighbours:
        """The candidates nearest to each, which both rankings of an expanded search need."""
        return fusion.neighbours(self.vectors)


@dataclass(frozen=True)
class LexicalRanking:
    """What the lexical ranking found, best first, and how long it took."""

    matches: bm25.Matches | None = None
    ids: Sequence[str] = ()
    milliseconds: float = 0.0


def fused(found: Candidates, lexical: LexicalRanking, mode: Mode) -> tuple[np.ndarray, float]:
    """Scores of the candidates in this mode, and the weight that the lexical ranking got."""
    if not found.ids:
        return np.zeros(0), 0.0
    dense = found.dense if found.expanded is None else found.expanded
    if mode == "dense" or lexical.matches is None:
        return dense, 0.0
    if mode == "lexical":
        return found.lexical, 1.0
    scores = dict(zip(found.ids, found.lexical, strict=True))
    weight = fusion.lexical_weight([float(scores[key]) for key in lexical.ids if key in scores])
    joined = fusion.fuse(dense, found.lexical, weight, found.verbatim)
    joined = fusion.regularize(joined, found.neighbours)
    if (openings := found.openings) is None:
        return joined, weight
    near = openings.vectors @ openings.query
    opening = fusion.fuse(near, openings.lexical, weight, np.zeros(len(near), bool), among=(dense, found.lexical))
    return fusion.introduced(joined, opening[openings.of], openings.passages[openings.of]), weight


def ordered(found: Candidates, scores: np.ndarray, k: int, options: Options) -> list[int]:
    """Indices of the candidates, best first; equal scores in the order of their ids."""
    if not found.ids:
        return []
    ranked = scores
    if options.recency > 0:
        ranked = fusion.recency(fusion.unit(scores), found.ages, options.recency, HALF_LIFE_DAYS)
    order = sorted(range(len(found.ids)), key=lambda index: (-ranked[index], found.ids[index]))
    if options.diversity > 0 and options.mode != "lexical":
        pool = order[: max(3 * k, 30)]
        chosen = fusion.diversify(fusion.unit(ranked)[pool], found.vectors[pool], len(pool), options.diversity)
        order = [pool[index] for index in chosen] + order[len(pool) :]
    return order


def explained(found: Candidates, scores: np.ndarray, weight: float, index: int, options: Options) -> dict[str, float]:
    """How each step saw one candidate, as :class:`~twin_resources.retrieval.search.Hit` says it."""
    said: dict[str, float] = {}
    if options.mode != "lexical":
        said["dense"] = float(found.dense[index])
    if options.mode != "dense":
        said["lexical"] = float(found.lexical[index])
    if found.expanded is not None:
        said["expanded"] = float(found.expanded[index])
    if options.mode == "hybrid":
        said["lexical_weight"] = weight
        said["verbatim"] = float(found.verbatim[index])
        said["fused"] = float(scores[index])
    return {name: round(value, 6) for name, value in said.items()}
