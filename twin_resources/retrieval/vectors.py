"""The vector index, on plain Postgres with pgvector.

Vectors are ``halfvec`` under an HNSW index (Malkov and Yashunin 2018, arXiv:1603.09320), keyed by the hash of the text
and the model, so the same text is embedded once whoever wrote it and however often it moved.

Search sees passages only once they are **served**: :meth:`VectorIndex.publish` switches an author to the newest
passages, and to another model, in one transaction when every vector is there. Until then the old ones are found.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.engines import sessions_of
from twin_resources.database.locks import Locks
from twin_resources.database.schema import (
    chunk,
    embedding,
    embedding_model,
    lexical_member,
    lexical_segment,
    posting,
    search_release,
    sentence_embedding,
)
from twin_resources.database.shards import AuthorEngine
from twin_resources.retrieval import bm25
from twin_resources.text.identity import content_id

log = logging.getLogger(__name__)

FEW = 1_000
"""When no more passages than this meet the conditions of a search, all of them are compared, without the index."""

_MANY, _NEWS = FEW, 0.1
"""Passages that search newly finds, and their share of all, from which on it is worth looking at what tables hold."""
_SEARCHED = [table.name for table in (chunk, embedding, sentence_embedding, lexical_segment, lexical_member, posting)]
_COUNTED_SECONDS = 10.0
_SCAN_TUPLES = 200_000
_LINKS = 24
_CONSTRUCTION = 200
_SEARCH = 200


@dataclass(frozen=True)
class Scope:
    """The passages a search may find: conditions on ``chunk``, and whether only few meet them."""

    conditions: Sequence[sa.ColumnElement[bool]]
    few: bool


class VectorIndex:
    """Embeddings of one model, and which passages search finds by them."""

    def __init__(self, engine: sa.Engine, model: str) -> None:
        self.engine = engine
        self.model = model
        self._few: dict[str, tuple[float, bool]] = {}

    def missing(self, author_id: str, category: str | None = None) -> int:
        """How many distinct texts of current chunks have no vector of this model yet."""
        with self.engine.connect() as session:
            return self._count_missing(session, author_id, category)

    def _count_missing(self, session: sa.Connection, author_id: str, category: str | None = None) -> int:
        missing = sa.select(chunk.c.text_hash).where(*self._without_vector(author_id, category)).distinct()
        return session.scalar(sa.select(sa.func.count()).select_from(missing.subquery())) or 0

    def _without_vector(self, author_id: str, category: str | None) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            chunk.c.author == author_id,
            chunk.c.category == category if category else sa.true(),
            chunk.c.current,
            ~sa.exists().where(embedding.c.text_hash == chunk.c.text_hash, embedding.c.model == self.model),
        )

    def stream_missing(self, author_id: str, batch: int = 512) -> Iterator[list[tuple[str, str]]]:
        """Batches of (hash, text) of current chunks that have no vector yet, the longest first.

        One query in one snapshot, read through a cursor on the server, so memory does not grow with the corpus.
        """
        distinct = (
            sa.select(chunk.c.text_hash, chunk.c.embedded_text)
            .ext(postgresql.distinct_on(chunk.c.text_hash))
            .where(*self._without_vector(author_id, None))
            .order_by(chunk.c.text_hash)
            .subquery()
        )
        by_length = sa.select(distinct).order_by(sa.func.length(distinct.c.embedded_text).desc(), distinct.c.text_hash)
        with self.engine.connect() as session:
            rows = session.execution_options(yield_per=batch).execute(by_length)
            for page in rows.partitions(batch):
                yield [(row.text_hash, row.embedded_text) for row in page]

    def save(self, vectors: Iterable[tuple[str, np.ndarray]], dimensions: int) -> int:
        """Add vectors by the hash of their text; those that exist stay. Returns how many were new."""
        with self.engine.begin() as session:
            session.execute(
                insert(embedding_model).values(name=self.model, dimensions=dimensions).on_conflict_do_nothing()
            )
            rows = [(text_hash, self.model, HalfVector(vector)) for text_hash, vector in vectors]
            return copy_upsert(session, embedding, ["text_hash", "model", "vector"], rows)

    def ensure_index(self) -> None:
        """Build the HNSW index of this model where it is missing; searches go on meanwhile.

        Whoever comes second waits for the first and finds it built. A half-built index can only be left by a process
        that died, so it is dropped.
        """
        dimensions = self.dimensions()
        if dimensions is None:
            return
        name = f"hnsw_{content_id('index', self.model)[:12]}"
        quoted = self.model.replace("'", "''")
        here = self.engine.here() if isinstance(self.engine, AuthorEngine) else self.engine
        with (
            Locks(here).hold([f"index {name}"], f"building the index of {self.model}", log.info),
            sessions_of(here).connect().execution_options(isolation_level="AUTOCOMMIT") as session,
        ):
            valid = session.scalar(
                sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
            )
            if valid:
                return
            session.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
            rows = session.scalar(sa.select(sa.func.count()).where(embedding.c.model == self.model)) or 0
            needed = rows * (2 * dimensions + 40 * _LINKS + 256) // 1024**2 + 64
            session.exec_driver_sql(f"SET maintenance_work_mem = '{min(needed, 4096)}MB'")
            session.exec_driver_sql(
                f"CREATE INDEX CONCURRENTLY {name} ON embedding USING hnsw "
                f"((vector::halfvec({dimensions})) halfvec_cosine_ops) "
                f"WITH (m = {_LINKS}, ef_construction = {_CONSTRUCTION}) WHERE model = '{quoted}'"
            )
            session.exec_driver_sql("RESET maintenance_work_mem")

    def dimensions(self) -> int | None:
        """Length of this model's vectors, or None before any was stored."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(embedding_model.c.dimensions).where(embedding_model.c.name == self.model))

    def publish(self, author_id: str) -> bool:
        """Let search find the author's current passages, by this model; nothing happens while a vector is missing.

        Returns:
            Whether the current passages are what search finds now.
        """
        with self.engine.begin() as session:
            session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:author))"), {"author": author_id})
            if self._count_missing(session, author_id):
                return False
            mine = chunk.c.author == author_id
            session.execute(
                sa.update(chunk).where(mine, chunk.c.served != chunk.c.current).values(served=chunk.c.current)
            )
            written = bm25.refresh(session, author_id)
            known = session.scalar(sa.select(embedding_model.c.name).where(embedding_model.c.name == self.model))
            if known is not None:
                release = insert(search_release).values(author=author_id, model=self.model)
                session.execute(
                    release.on_conflict_do_update(
                        index_elements=["author"],
                        set_={"model": self.model, "changed_at": sa.func.now()},
                        where=search_release.c.model != self.model,
                    )
                )
        if written >= _MANY:
            self._take_stock(written)
        return True

    def _take_stock(self, written: int) -> None:
        """Have Postgres look at its tables where much of what they hold is new. It does so by itself, but a minute
        later, and plans by guesses until then: the nearest of 4,849 passages took 20 ms to find, and 8 once it had."""
        with self.engine.begin() as session:
            known = session.scalar(sa.text("SELECT reltuples FROM pg_class WHERE oid = to_regclass('chunk')")) or 0
            if written >= _NEWS * known:
                session.execute(sa.text(f"ANALYZE {', '.join(_SEARCHED)}"))

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
        """How many current chunks have a vector, so that dense search finds them."""
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

    def scope_of_all(self, author_id: str) -> Scope | None:
        """All served passages of an author, where lately it was counted whether they are few; it only decides how they
        are gone through, so it may have changed since."""
        counted = self._few.get(author_id)
        if counted is None or time.monotonic() - counted[0] > _COUNTED_SECONDS:
            return None
        return Scope(_served(author_id), counted[1])

    def scope(self, session: sa.Connection, author_id: str, conditions: Sequence[sa.ColumnElement[bool]]) -> Scope:
        """The served passages of an author that meet the conditions, counted up to :data:`FEW`."""
        every = [*_served(author_id), *conditions]
        some = sa.select(sa.literal(1)).select_from(chunk).where(*every).limit(FEW + 1).subquery()
        count = session.scalar(sa.select(sa.func.count()).select_from(some)) or 0
        if not conditions:
            self._few[author_id] = time.monotonic(), count <= FEW
        return Scope(every, count <= FEW)

    def nearest(self, session: sa.Connection, vector: np.ndarray, limit: int, scope: Scope) -> list[tuple[str, float]]:
        """(chunk id, cosine similarity) of the passages nearest in meaning, nearest first.

        Goes through the HNSW index, whose iterative scan looks on until enough passages meet the conditions; where few
        meet them, or the scan ends short of ``limit``, it compares all that do.
        """
        if not scope.few:
            found = self._by_index(session, vector, limit, scope)
            if len(found) >= limit:
                return found
        return self._one_by_one(session, vector, limit, scope)

    def _by_index(
        self, session: sa.Connection, vector: np.ndarray, limit: int, scope: Scope
    ) -> list[tuple[str, float]]:
        session.execute(_SETTINGS, {"ef_search": str(min(1000, max(_SEARCH, 2 * limit)))})
        column = sa.cast(embedding.c.vector, HALFVEC(len(vector)))
        distance = column.cosine_distance(HalfVector(vector)).label("distance")
        query = (
            sa.select(chunk.c.id, distance)
            .select_from(embedding.join(chunk, chunk.c.text_hash == embedding.c.text_hash))
            .where(embedding.c.model == _literal(self.model), *scope.conditions)
            .order_by(distance)
            .limit(limit)
        )
        return _nearest_first(session.execute(query))

    def _one_by_one(
        self, session: sa.Connection, vector: np.ndarray, limit: int, scope: Scope
    ) -> list[tuple[str, float]]:
        kept = (
            sa.select(chunk.c.id, embedding.c.vector)
            .join(embedding, embedding.c.text_hash == chunk.c.text_hash)
            .where(embedding.c.model == self.model, *scope.conditions)
            .cte("kept")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        distance = sa.cast(kept.c.vector, HALFVEC(len(vector))).cosine_distance(HalfVector(vector)).label("distance")
        return _nearest_first(
            session.execute(sa.select(kept.c.id, distance).order_by(distance, kept.c.id).limit(limit))
        )


def served_model(engine: sa.Engine, author_id: str) -> str | None:
    """The embedding model that search uses for an author, or None before anything was published."""
    with engine.connect() as session:
        return session.scalar(sa.select(search_release.c.model).where(search_release.c.author == author_id))


_SETTINGS = sa.select(
    sa.func.set_config("hnsw.iterative_scan", "relaxed_order", True),
    sa.func.set_config("hnsw.ef_search", sa.bindparam("ef_search"), True),
    sa.func.set_config("hnsw.max_scan_tuples", str(_SCAN_TUPLES), True),
    sa.func.set_config("hnsw.scan_mem_multiplier", "4", True),
    sa.func.set_config("enable_sort", "off", True),
    sa.func.set_config("enable_seqscan", "off", True),
)


def _served(author_id: str) -> list[sa.ColumnElement[bool]]:
    return [chunk.c.author == author_id, chunk.c.served]


def _literal(value: str) -> sa.ColumnElement[str]:
    """As text of the statement: the planner uses a partial index only when it sees the value."""
    return sa.literal_column("'" + value.replace("'", "''") + "'")


def _nearest_first(rows: Iterable[sa.Row]) -> list[tuple[str, float]]:
    found = {row.id: 1 - float(row.distance) for row in rows}
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
