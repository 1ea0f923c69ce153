"""Finding passages of one author: dense, lexical, or hybrid search, on plain Postgres with pgvector."""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa

from twin_resources.database.schema import chunk, lexical_member
from twin_resources.retrieval import bm25, fusion
from twin_resources.retrieval.candidates import Candidates, LexicalRanking, Openings, explained, fused, ordered
from twin_resources.retrieval.options import EVERYTHING, USUAL, Filters, Options
from twin_resources.retrieval.vectors import Scope, VectorIndex

__all__ = ["EVERYTHING", "Filters", "Hit", "Options", "Search", "join"]

_BESIDE = ThreadPoolExecutor(4, "lexical-search")

_AGAIN = 0.05
"""Weight of what a passage scores for the other questions that are searched for with one."""

_CANDIDATES, OPENINGS = (
    (Path(__file__).parent / "sql" / f"{name}.sql").read_bytes() for name in ("candidates", "openings")
)


@dataclass
class Hit:
    """A passage that was found; ``scores`` says how each step saw it: ``dense`` is the cosine similarity, ``lexical``
    the BM25 score, ``lexical_weight`` how much the query made of it, ``verbatim`` 1 where the query stands in the
    passage word for word, ``fused`` all together, regularised by its neighbours and by how its document opens."""

    chunk_id: str
    document_id: str
    title: str
    url: str
    platform: str
    category: str
    published_at: datetime | None
    heading: Sequence[str]
    text: str
    score: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)


class Search:
    """Searches the passages that are served, with the vectors of one model."""

    def __init__(self, engine: sa.Engine, model: str) -> None:
        self.engine = engine
        self.index = VectorIndex(engine, model)

    def find(
        self,
        author_id: str,
        query: str,
        vector: np.ndarray | Callable[[], np.ndarray] | None,
        *,
        k: int,
        options: Options = USUAL,
        filters: Filters = EVERYTHING,
        timings: dict[str, float] | None = None,
    ) -> list[Hit]:
        """The best ``k`` passages, without those that repeat one before them.

        Args:
            vector: the query's unit vector, shape ``(dimensions,)``, or what makes it, while the lexical ranking is
                made; not needed for ``lexical``.
            timings: gets the milliseconds of each step. ``lexical`` runs beside the others; ``wait`` is what it still
                took when they were done.

        Raises:
            ValueError: there is no vector, and the mode needs one.
        """
        if vector is None and options.mode != "lexical":
            raise ValueError(f"searching by {options.mode} needs the query's vector")
        clock = _Clock(timings if timings is not None else {})
        wanted = max(k + 10, options.candidates)
        while True:
            hits, exhausted = self._find(
                author_id, query, vector, k=k, wanted=wanted, options=options, filters=filters, clock=clock
            )
            if len(hits) == k or exhausted:
                return hits
            wanted *= 4

    def _find(
        self,
        author_id: str,
        query: str,
        vector: np.ndarray | Callable[[], np.ndarray] | None,
        *,
        k: int,
        wanted: int,
        options: Options,
        filters: Filters,
        clock: _Clock,
    ) -> tuple[list[Hit], bool]:
        """The hits among the ``wanted`` candidates of each ranking, and whether there are no more candidates.

        The two rankings are made side by side. No connection is held while waiting for another; where there is nothing
        to wait for, one transaction does, which saves the round trips of a second.
        """
        near: list[tuple[str, float]] = []
        words: Future[LexicalRanking] | None = None
        conditions = filters.clauses()
        scope = None if conditions else self.index.scope_of_all(author_id)
        if scope is None:
            with self.engine.begin() as session:
                scope = self.index.scope(session, author_id, conditions)
        clock.tick("scope")
        if options.mode != "dense":
            words = _BESIDE.submit(contextvars.copy_context().run, self._lexical, author_id, query, wanted, scope)
        if options.mode == "lexical":
            vector = None
        elif callable(vector):
            vector = vector()
            clock.tick("embed")
        with contextlib.ExitStack() as held:
            session: sa.Connection | None = None
            if vector is not None:
                session = held.enter_context(self.engine.begin())
                near = self.index.nearest(session, vector, wanted, scope)
                clock.tick("dense")
                if words is not None and not words.done():
                    held.close()
                    session = None
            worded = words.result() if words else LexicalRanking()
            clock.say("lexical", worded.milliseconds)
            clock.tick("wait")
            if session is None:
                session = held.enter_context(self.engine.begin())
            ids = [*(key for key, _ in near), *worded.ids]
            found, documents = self._complete(session, query, vector, worded.matches, ids)
            if options.mode == "hybrid" and vector is not None and found.ids:
                found.openings = self._openings(session, documents, vector, worded.matches)
            scores, weight = fused(found, worded, options.mode)
            if options.expand and vector is not None and found.ids:
                found.expand(fusion.feedback(vector, found.vectors, np.clip(scores, 0, None)))
                scores, weight = fused(found, worded, options.mode)
                clock.tick("expand")
            order = ordered(found, scores, k, options)
            hits = self._collapsed(session, found, order, k, scores=scores, weight=weight, options=options)
            clock.tick("fuse")
        return hits, len(near) < wanted and len(worded.ids) < wanted

    def _lexical(self, author_id: str, query: str, wanted: int, scope: Scope) -> LexicalRanking:
        """The lexical ranking, on a connection of its own."""
        start = time.perf_counter()
        with self.engine.begin() as session:
            matches = bm25.match(session, author_id, query)
            ids = _worded(session, matches, wanted, scope.conditions, few=scope.few)
        return LexicalRanking(matches, ids, (time.perf_counter() - start) * 1000)

    def _complete(
        self,
        session: sa.Connection,
        query: str,
        vector: np.ndarray | None,
        matches: bm25.Matches | None,
        ids: Iterable[str],
    ) -> tuple[Candidates, list[str]]:
        """Both scores of every candidate, whichever ranking brought it, and the document that each stands in."""
        wanted = list(dict.fromkeys(ids))
        driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
        with driver.cursor(binary=True) as cursor:
            cursor.execute(_CANDIDATES, {"ids": wanted, "model": self.index.model, "phrase": _phrase(query)})
            known = {row[0]: row[1:] for row in cursor}
        keys = [key for key in wanted if key in known]
        dimensions = 0 if vector is None else len(vector)
        vectors = np.zeros((len(keys), dimensions), np.float32)
        worded = np.zeros(len(keys))
        ages = np.full(len(keys), np.nan)
        verbatim = np.zeros(len(keys), bool)
        for index, key in enumerate(keys):
            stored, segment, ordinal, age, verbatim[index], _ = known[key]
            if stored is not None and dimensions:
                vectors[index] = stored.to_numpy()
            if matches is not None and segment is not None:
                worded[index] = matches.score(segment, ordinal)
            if age is not None:
                ages[index] = max(0.0, age)
        vectors = _normalised(vectors)
        dense = vectors @ vector if vector is not None else np.zeros(len(keys))
        return Candidates(keys, dense, worded, ages, vectors, verbatim), [known[key][-1] for key in keys]

    def _openings(
        self, session: sa.Connection, documents: Sequence[str], vector: np.ndarray, matches: bm25.Matches | None
    ) -> Openings:
        """The passages that open ``documents``, of which one may stand there more than once."""
        distinct = list(dict.fromkeys(documents))
        vectors = np.zeros((len(distinct), len(vector)), np.float32)
        worded = np.zeros(len(distinct))
        passages = np.ones(len(distinct))
        place = {document: index for index, document in enumerate(distinct)}
        driver: psycopg.Connection = session.connection.driver_connection  # pyright: ignore[reportAssignmentType]
        with driver.cursor(binary=True) as cursor:
            cursor.execute(OPENINGS, {"documents": distinct, "model": self.index.model, "most": fusion.LONG})
            for document, stored, segment, ordinal, count in cursor:
                index = place[document]
                vectors[index], passages[index] = stored.to_numpy(), count
                if matches is not None and segment is not None:
                    worded[index] = matches.score(segment, ordinal)
        return Openings(
            _normalised(vectors), vector, worded, passages, np.array([place[document] for document in documents])
        )

    def _collapsed(
        self,
        session: sa.Connection,
        found: Candidates,
        order: Sequence[int],
        k: int,
        *,
        scores: np.ndarray,
        weight: float,
        options: Options,
    ) -> list[Hit]:
        """The first ``k`` in this order, without passages that repeat one before them."""
        hits: list[Hit] = []
        seen: list[set[tuple[str, ...]]] = []
        position = 0
        while len(hits) < k and position < len(order):
            page = order[position : position + k + 10]
            position += len(page)
            query = sa.select(*_HIT).where(_among(chunk.c.id, [found.ids[index] for index in page]))
            rows = {row.id: row for row in session.execute(query)}
            for index in page:
                row = rows.get(found.ids[index])
                if row is None or len(hits) == k:
                    continue
                mine = fusion.runs_of(row.text)
                if any(fusion.same_text(mine, other) for other in seen):
                    continue
                seen.append(mine)
                said = explained(found, scores, weight, index, options)
                hits.append(Hit(*row, score=float(scores[index]), scores=said))
        return hits


def _normalised(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def _phrase(query: str) -> str:
    """The query as it could stand in a text; empty for a single word, which says too little."""
    words = bm25.fold(query).casefold().strip(" \t\n?!.,;:\"'").split()
    return " ".join(words) if len(words) > 1 else ""


def _among(column: sa.ColumnElement[str], keys: Sequence[str]) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.cast(list(keys), sa.ARRAY(sa.Text)))


class _Clock:
    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings
        self._last = time.perf_counter()

    def tick(self, name: str) -> None:
        """Add what passed since the last tick to a step."""
        now = time.perf_counter()
        self.say(name, (now - self._last) * 1000)
        self._last = now

    def say(self, name: str, milliseconds: float) -> None:
        """Add to a step what was measured elsewhere."""
        self._timings[name] = self._timings.get(name, 0.0) + milliseconds


def _worded(
    session: sa.Connection,
    matches: bm25.Matches,
    wanted: int,
    conditions: Sequence[sa.ColumnElement[bool]],
    *,
    few: bool,
) -> list[str]:
    """Ids of the passages that match best and meet the conditions, best first.

    Goes down the ranking in growing steps until there are enough; when few passages meet the conditions, those are
    looked up first and ranked.
    """
    member = (lexical_member.c.segment, lexical_member.c.ordinal, chunk.c.id)
    joined = lexical_member.join(chunk, chunk.c.id == lexical_member.c.chunk_id)
    if few:
        rows = session.execute(sa.select(*member).select_from(joined).where(*conditions)).all()
        scored = [(matches.score(row.segment, row.ordinal), row.id) for row in rows]
        return [key for score, key in sorted(scored, key=lambda pair: (-pair[0], pair[1])) if score > 0][:wanted]
    found: list[str] = []
    skip, step = 0, wanted + 20
    while len(found) < wanted and (page := matches.top(step, skip=skip)):
        skip += step
        step *= 8
        by_segment: dict[int, list[int]] = {}
        for segment, ordinal, _ in page:
            by_segment.setdefault(segment, []).append(ordinal)
        meets = sa.or_(
            *(
                (lexical_member.c.segment == segment)
                & (lexical_member.c.ordinal == sa.any_(sa.cast(ordinals, sa.ARRAY(sa.Integer))))
                for segment, ordinals in by_segment.items()
            )
        )
        rows = session.execute(sa.select(*member).select_from(joined).where(meets, *conditions))
        ids = {(row.segment, row.ordinal): row.id for row in rows}
        found.extend(ids[segment, ordinal] for segment, ordinal, _ in page if (segment, ordinal) in ids)
    return found[:wanted]


def join(rankings: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """One ranking from those of several questions: what is best for one of them comes first, however little it says on
    the others, and of equals what is found for more of them (CombMAX with a little of CombSUM, Fox and Shaw 1994)."""
    if len(rankings) == 1:
        return list(rankings[0])[:k]
    found: dict[str, list[float]] = {}
    first: dict[str, Hit] = {}
    for ranking in rankings:
        best = max((hit.score for hit in ranking), default=0.0) or 1.0
        for hit in ranking:
            found.setdefault(hit.chunk_id, []).append(hit.score / best)
            first.setdefault(hit.chunk_id, hit)
    scores = {key: max(each) + _AGAIN * (sum(each) - max(each)) for key, each in found.items()}
    joined = [
        replace(hit, score=scores[key], scores={**hit.scores, "joined": scores[key]}) for key, hit in first.items()
    ]
    return sorted(joined, key=lambda hit: (-hit.score, hit.chunk_id))[:k]


_HIT: tuple[Any, ...] = (
    chunk.c.id,
    chunk.c.document_id,
    chunk.c.title,
    chunk.c.url,
    chunk.c.platform,
    chunk.c.category,
    chunk.c.published_at,
    chunk.c.heading,
    chunk.c.text,
)
