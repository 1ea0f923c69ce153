"""The vector index and search, on plain Postgres with pgvector.

Vectors are ``halfvec`` under an HNSW index (Malkov and Yashunin 2018, arXiv:1603.09320), keyed by the hash of the text
and the model, so the same text is embedded once whoever wrote it and however often it moved.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert

from twin_resources.postgres import copy_upsert
from twin_resources.schema import chunk, content_id, embedding, embedding_model

Mode = Literal["hybrid", "dense", "lexical"]
_RRF = 60


@dataclass(frozen=True)
class Filters:
    """Conditions a passage has to meet; an empty one lets everything through."""

    category: Sequence[str] = ()
    platform: Sequence[str] = ()
    url: Sequence[str] = ()
    published_from: datetime | None = None
    published_to: datetime | None = None

    def clauses(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on the ``chunk`` table."""
        found: list[sa.ColumnElement[bool]] = []
        for column, values in (
            (chunk.c.category, self.category),
            (chunk.c.platform, self.platform),
            (chunk.c.url, self.url),
        ):
            if values:
                found.append(column.in_(list(values)))
        if self.published_from:
            found.append(chunk.c.published_at >= self.published_from)
        if self.published_to:
            found.append(chunk.c.published_at <= self.published_to)
        return found


@dataclass
class Hit:
    """A passage that was found; ``scores`` says how each ranking saw it."""

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


class VectorIndex:
    """Stores embeddings and finds passages of one author."""

    def __init__(self, engine: sa.Engine, model: str) -> None:
        self.engine = engine
        self.model = model

    def missing(self, author_id: str, category: str | None = None) -> int:
        """How many distinct texts of current chunks have no vector of this model yet."""
        with self.engine.connect() as session:
            return (
                session.scalar(sa.select(sa.func.count()).select_from(self._missing(author_id, category).subquery()))
                or 0
            )

    def _missing(self, author_id: str, category: str | None) -> sa.Select:
        return (
            sa.select(chunk.c.text_hash, chunk.c.embedded_text)
            .ext(postgresql.distinct_on(chunk.c.text_hash))
            .where(
                chunk.c.author == author_id,
                chunk.c.category == category if category else sa.true(),
                chunk.c.current,
                ~sa.exists().where(embedding.c.text_hash == chunk.c.text_hash, embedding.c.model == self.model),
            )
            .order_by(chunk.c.text_hash)
        )

    def next_missing(self, author_id: str, batch: int = 512) -> list[tuple[str, str]]:
        """(hash, text) of the next texts that have no vector yet, of similar length; empty when all have one."""
        query = self._missing(author_id, None).subquery()
        by_length = sa.select(query).order_by(sa.func.length(query.c.embedded_text).desc(), query.c.text_hash)
        with self.engine.connect() as session:
            rows = session.execute(by_length.limit(batch))
            return [(row.text_hash, row.embedded_text) for row in rows]

    def save(self, vectors: Iterable[tuple[str, np.ndarray]], dimensions: int) -> int:
        """Add vectors by the hash of their text; those that exist stay. Returns how many were new."""
        with self.engine.begin() as session:
            session.execute(
                insert(embedding_model).values(name=self.model, dimensions=dimensions).on_conflict_do_nothing()
            )
            rows = [(text_hash, self.model, HalfVector(vector)) for text_hash, vector in vectors]
            return copy_upsert(session, embedding, ["text_hash", "model", "vector"], rows)

    def ensure_index(self) -> None:
        """Build the HNSW index of this model where it is missing; searches go on meanwhile."""
        dimensions = self.dimensions()
        if dimensions is None:
            return
        name = f"hnsw_{content_id('index', self.model)[:12]}"
        quoted = self.model.replace("'", "''")
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            valid = session.scalar(
                sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
            )
            if valid:
                return
            session.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
            session.exec_driver_sql(
                f"CREATE INDEX CONCURRENTLY {name} ON embedding USING hnsw "
                f"((vector::halfvec({dimensions})) halfvec_cosine_ops) WHERE model = '{quoted}'"
            )

    def dimensions(self) -> int | None:
        """Length of this model's vectors, or None before any was stored."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(embedding_model.c.dimensions).where(embedding_model.c.name == self.model))

    def snapshot_hash(self, author_id: str, category: str) -> str:
        """Content hash of snapshot 2 for a category: the current chunks that have a vector of this model."""
        with self.engine.connect() as session:
            ids = session.scalars(
                sa.select(chunk.c.id)
                .join(embedding, (embedding.c.text_hash == chunk.c.text_hash) & (embedding.c.model == self.model))
                .where(chunk.c.author == author_id, chunk.c.category == category, chunk.c.current)
                .order_by(chunk.c.id)
            )
            return content_id("embeddings", self.model, *ids)

    def count(self, author_id: str, category: str | None = None) -> int:
        """How many current chunks can be found by meaning."""
        query = (
            sa.select(sa.func.count())
            .select_from(chunk)
            .join(embedding, (embedding.c.text_hash == chunk.c.text_hash) & (embedding.c.model == self.model))
            .where(chunk.c.author == author_id, chunk.c.current)
        )
        if category is not None:
            query = query.where(chunk.c.category == category)
        with self.engine.connect() as session:
            return session.scalar(query) or 0

    def dense(self, author_id: str, vector: np.ndarray, limit: int, filters: Filters = Filters()) -> list[Hit]:
        """The passages nearest in meaning, by cosine similarity."""
        dimensions = len(vector)
        column = sa.cast(embedding.c.vector, HALFVEC(dimensions))
        distance = column.cosine_distance(HalfVector(vector))
        query = (
            sa.select(*_HIT, (1 - distance).label("score"))
            .select_from(embedding)
            .join(chunk, chunk.c.text_hash == embedding.c.text_hash)
            .where(
                embedding.c.model == sa.literal_column("'" + self.model.replace("'", "''") + "'"),
                chunk.c.author == author_id,
                chunk.c.current,
                *filters.clauses(),
            )
            .order_by(distance)
            .limit(limit)
        )
        with self.engine.begin() as session:
            session.exec_driver_sql("SET LOCAL hnsw.iterative_scan = strict_order")
            session.exec_driver_sql(f"SET LOCAL hnsw.ef_search = {max(40, min(1000, limit * 2))}")
            return _hits(session.execute(query), "dense")

    def lexical(self, author_id: str, query: str, limit: int, filters: Filters = Filters()) -> list[Hit]:
        """The passages that share the most telling words with the query (cover density ranking)."""
        words = sa.func.to_tsvector("english", query)
        any_word = sa.cast(
            sa.func.array_to_string(
                sa.func.array(
                    sa.select(sa.func.quote_literal(sa.column("lexeme")))
                    .select_from(sa.func.unnest(sa.func.tsvector_to_array(words)).alias("lexeme"))
                    .scalar_subquery()
                ),
                " | ",
            ),
            postgresql.TSQUERY,
        )
        asked = sa.select(any_word.label("asked")).cte("asked")
        score = sa.func.ts_rank_cd(chunk.c.lexemes, asked.c.asked, 1 | 4)
        statement = (
            sa.select(*_HIT, score.label("score"))
            .select_from(chunk.join(asked, sa.true()))
            .where(
                chunk.c.author == author_id,
                chunk.c.current,
                chunk.c.lexemes.op("@@")(asked.c.asked),
                *filters.clauses(),
            )
            .order_by(sa.desc("score"), chunk.c.id)
            .limit(limit)
        )
        with self.engine.connect() as session:
            return _hits(session.execute(statement), "lexical")

    def search(
        self,
        author_id: str,
        query: str,
        vector: np.ndarray | None,
        *,
        k: int,
        mode: Mode = "hybrid",
        candidates: int = 50,
        filters: Filters = Filters(),
        timings: dict[str, float] | None = None,
    ) -> list[Hit]:
        """The best ``k`` passages; ``vector`` is the query's embedding, not needed for ``lexical``.

        Hybrid search joins both rankings by reciprocal rank (Cormack et al. 2009, k = 60).
        """
        timings = {} if timings is None else timings
        wanted = max(k, candidates)
        rankings: list[list[Hit]] = []
        if mode in ("hybrid", "dense"):
            assert vector is not None
            start = time.perf_counter()
            rankings.append(self.dense(author_id, vector, wanted, filters))
            timings["dense"] = (time.perf_counter() - start) * 1000
        if mode in ("hybrid", "lexical"):
            start = time.perf_counter()
            rankings.append(self.lexical(author_id, query, wanted, filters))
            timings["lexical"] = (time.perf_counter() - start) * 1000
        return fuse(rankings)[:k]


def fuse(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Join rankings by reciprocal rank; a single one keeps its own scores."""
    if len(rankings) == 1:
        return list(rankings[0])
    joined: dict[str, Hit] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            kept = joined.setdefault(hit.chunk_id, hit)
            kept.scores.update(hit.scores)
            kept.scores["fused"] = kept.scores.get("fused", 0.0) + 1 / (_RRF + rank)
    for hit in joined.values():
        hit.score = hit.scores["fused"]
    return sorted(joined.values(), key=lambda hit: (-hit.score, hit.chunk_id))


_HIT = (
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


def _hits(rows: Iterable[Any], ranking: str) -> list[Hit]:
    found: dict[str, Hit] = {}
    for row in rows:
        *columns, score = row
        if columns[0] not in found:
            found[columns[0]] = Hit(*columns, score=float(score), scores={ranking: float(score)})
    return list(found.values())
