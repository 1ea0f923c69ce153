"""Chunks: the passages that clean documents were cut into, which of them are current, and whether they are whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on

from twin_resources.database.rows import Streamed, add_records
from twin_resources.database.schema import chunk, clean_document
from twin_resources.sources.base import PROFILE
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.text.identity import content_id_of


@dataclass(frozen=True)
class Chunk:
    """A row of ``chunk``: the slice ``[start, end)`` of a clean text in characters, at ``position`` in its document.

    ``embedded_text`` puts the path of headings in front of the text; ``tokens`` counts it, special tokens included.
    """

    id: str
    author: str
    document_id: str
    clean_document_id: str
    category: str
    platform: str
    url: str
    title: str
    published_at: datetime | None
    heading: tuple[str, ...]
    position: int
    start: int
    end: int
    text: str
    tokens: int
    embedded_text: str
    text_hash: str
    chunker: str
    language: str = ""


@dataclass(frozen=True)
class ChunkTotals:
    """Sums over current chunks; ``over`` counts those with more tokens than were asked about."""

    chunks: int
    tokens: int
    over: int = 0


@dataclass(frozen=True)
class Extent:
    """What there is in the passages that search finds of an author; the dates are None where none is known."""

    platforms: tuple[str, ...]
    categories: tuple[str, ...]
    first: datetime | None
    last: datetime | None


_COLUMNS = tuple(Chunk.__dataclass_fields__)
_SELECTED = tuple(chunk.c[name] for name in _COLUMNS)
_CLEAN = tuple(clean_document.c[name] for name in CleanDocument.__dataclass_fields__)
_USED = clean_document.c.current & clean_document.c.excluded.is_(None)
_DOCUMENTS_A_PAGE = 20


def _of(author_id: str, category: str | None = None) -> sa.ColumnElement[bool]:
    mine = chunk.c.author == author_id
    return mine if category is None else mine & (chunk.c.category == category)


def _cited(row: sa.RowMapping) -> tuple[object, ...]:
    *fields, published = row.values()
    return *fields, published and published.isoformat()


def _chunk(row: sa.RowMapping) -> Chunk:
    return Chunk(**{**row, "heading": tuple(row["heading"])})


class ChunkStore:
    """The ``chunk`` table."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def unchunked(self, author_id: str, category: str, chunker: str) -> Iterable[CleanDocument]:
        """Stream the clean documents in use that have no chunks of this chunker yet, in the order of their ids."""
        cut = sa.exists().where(chunk.c.clean_document_id == clean_document.c.id, chunk.c.chunker == chunker)
        mine = (clean_document.c.author == author_id, clean_document.c.category == category)
        query = sa.select(*_CLEAN).where(*mine, _USED, ~cut).order_by(clean_document.c.id)
        return Streamed(self.engine, query, lambda row: CleanDocument(**row), page=_DOCUMENTS_A_PAGE)

    def add(self, chunks: Iterable[Chunk]) -> int:
        """Add chunks; existing ones stay. Returns how many were new."""
        with self.engine.begin() as session:
            return add_records(session, chunk, _COLUMNS, chunks)

    def point_to_current(self, author_id: str, category: str, chunker: str) -> int:
        """Point ``current`` at the chunks of the clean documents in use, with the addresses and dates these have today;
        returns how many rows moved."""
        is_current = sa.and_(
            chunk.c.chunker == chunker, sa.exists().where(clean_document.c.id == chunk.c.clean_document_id, _USED)
        )
        moving = (_of(author_id, category), chunk.c.current != is_current)
        cited = {name: clean_document.c[name] for name in ("url", "published_at")}
        changed = sa.or_(*(chunk.c[name].is_distinct_from(column) for name, column in cited.items()))
        stale = (_of(author_id, category), chunk.c.clean_document_id == clean_document.c.id, _USED, changed)
        with self.engine.begin() as session:
            count = session.execute(sa.update(chunk).where(*moving).values(current=is_current)).rowcount
            return count + session.execute(sa.update(chunk).where(*stale).values(cited)).rowcount

    def current(self, author_id: str, category: str | None = None) -> Iterable[Chunk]:
        """Stream the current chunks in the order of document and position."""
        query = sa.select(*_SELECTED).where(_of(author_id, category), chunk.c.current)
        return Streamed(self.engine, query.order_by(chunk.c.document_id, chunk.c.position), _chunk)

    def chunks_of(
        self, author_id: str, category: str | None, *, clean_documents: Sequence[str], chunkers: Sequence[str]
    ) -> Iterable[Chunk]:
        """Stream the chunks that these clean documents were cut into, in the order of document and position."""
        made = chunk.c.clean_document_id.in_(clean_documents) & chunk.c.chunker.in_(chunkers)
        query = sa.select(*_SELECTED).where(_of(author_id, category), made)
        return Streamed(self.engine, query.order_by(chunk.c.document_id, chunk.c.position), _chunk)

    def texts(self, ids: Iterable[str], author_id: str) -> dict[str, str]:
        """Texts of chunks of an author by id, of former snapshots too: a dataset version may be made of those."""
        query = sa.select(chunk.c.id, chunk.c.text).where(_of(author_id), chunk.c.id.in_(list(ids)))
        with self.engine.connect() as session:
            return {row.id: row.text for row in session.execute(query)}

    def spread(self, author_id: str, category: str, count: int) -> list[Chunk]:
        """A few current chunks, evenly apart in the order of document and position."""
        number = sa.func.row_number().over(order_by=(chunk.c.document_id, chunk.c.position)) - 1
        mine = (_of(author_id, category), chunk.c.current)
        numbered = sa.select(chunk.c.id, number.label("number")).where(*mine).subquery()
        with self.engine.connect() as session:
            total = session.scalar(sa.select(sa.func.count()).where(*mine)) or 0
            query = (
                sa.select(*_SELECTED)
                .join(numbered, numbered.c.id == chunk.c.id)
                .where(numbered.c.number % max(1, total // count) == 0)
                .order_by(numbered.c.number)
                .limit(count)
            )
            return [_chunk(row) for row in session.execute(query).mappings()]

    def openings(self, author_id: str, count: int) -> list[Chunk]:
        """The first passages of the newest documents that search finds, no title twice; articles before all else."""
        key = sa.func.lower(chunk.c.title)
        newest = chunk.c.published_at.desc().nulls_last()
        article = chunk.c.category == "articles"
        first = (
            sa.select(*_SELECTED)
            .where(_of(author_id), chunk.c.served, chunk.c.title != "")
            .order_by(key, article.desc(), newest, chunk.c.document_id, chunk.c.position)
            .ext(distinct_on(key))
            .subquery()
        )
        query = sa.select(first).order_by(
            (first.c.category == "articles").desc(), first.c.published_at.desc().nulls_last(), first.c.id
        )
        with self.engine.connect() as session:
            return [_chunk(row) for row in session.execute(query.limit(count)).mappings()]

    def profiles(self, author_id: str) -> list[Chunk]:
        """The passages of what the author says of themselves on platforms, as search finds them, in order."""
        query = (
            sa.select(*_SELECTED)
            .join(clean_document, clean_document.c.id == chunk.c.clean_document_id)
            .where(_of(author_id, "posts"), chunk.c.served, clean_document.c.attributes.has_key(PROFILE))
            .order_by(chunk.c.platform, chunk.c.url, chunk.c.position)
        )
        with self.engine.connect() as session:
            return [_chunk(row) for row in session.execute(query).mappings()]

    def totals(self, author_id: str, category: str, limit: int = 0) -> ChunkTotals:
        """Sums over current chunks, and how many have more than ``limit`` tokens."""
        over = sa.func.count().filter(chunk.c.tokens > limit)
        query = sa.select(sa.func.count(), sa.func.sum(chunk.c.tokens), over)
        with self.engine.connect() as session:
            count, tokens, longer = session.execute(query.where(_of(author_id, category), chunk.c.current)).one()
        return ChunkTotals(count, tokens or 0, longer)

    def broken(self, author_id: str, category: str) -> Iterable[str]:
        """Stream what is wrong with documents whose current chunks do not join to their clean text: the URL of each, or
        that it has no chunks. Every document is joined and compared in the database."""
        joined = (
            sa.select(sa.func.string_agg(chunk.c.text, aggregate_order_by(sa.literal(""), chunk.c.position)))
            .where(chunk.c.clean_document_id == clean_document.c.id, chunk.c.current)
            .correlate(clean_document)
            .scalar_subquery()
        )
        mine = (clean_document.c.author == author_id, clean_document.c.category == category)
        differs = sa.func.coalesce(joined, "") != clean_document.c.text
        without = sa.literal("document without passages: ") + clean_document.c.id
        label = sa.case((joined.is_(None), without), else_=clean_document.c.url)
        unequal = sa.select(label.label("label"), clean_document.c.document_id).where(*mine, _USED, differs)
        unused = (
            sa.select(sa.func.min(chunk.c.url).label("label"), chunk.c.document_id)
            .where(
                _of(author_id, category),
                chunk.c.current,
                ~sa.exists().where(clean_document.c.id == chunk.c.clean_document_id, _USED),
            )
            .group_by(chunk.c.clean_document_id, chunk.c.document_id)
        )
        found = sa.union_all(unequal, unused).subquery()
        return Streamed(self.engine, sa.select(found.c.label).order_by(found.c.document_id), lambda row: row["label"])

    def hash(self, author_id: str, category: str) -> str:
        """Content hash of the current chunks of a category, with the addresses and dates that citations carry."""
        query = sa.select(chunk.c.id, chunk.c.url, chunk.c.published_at).where(
            _of(author_id, category), chunk.c.current
        )
        rows = Streamed(self.engine, query.order_by(chunk.c.id), _cited, page=1000)
        return content_id_of(itertools.chain(("chunks",), itertools.chain.from_iterable(rows)))

    def count(self, author_id: str, category: str | None = None) -> int:
        """How many chunks are current."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(sa.func.count()).where(_of(author_id, category), chunk.c.current)) or 0

    def extent(self, author_id: str) -> Extent:
        """Platforms, categories and dates of what an author's search finds."""
        query = sa.select(
            sa.func.array_agg(sa.distinct(chunk.c.platform)),
            sa.func.array_agg(sa.distinct(chunk.c.category)),
            sa.func.min(chunk.c.published_at),
            sa.func.max(chunk.c.published_at),
        ).where(_of(author_id), chunk.c.served)
        with self.engine.connect() as session:
            platforms, categories, first, last = session.execute(query).one()
        return Extent(tuple(platforms or ()), tuple(categories or ()), first, last)

    def section(self, chunk_id: str) -> list[tuple[str, str]]:
        """(chunk id, text) of the chunks under the same heading of the same document, in order."""
        found: Any = chunk.alias("found")
        same = (
            (found.c.clean_document_id == chunk.c.clean_document_id)
            & (found.c.chunker == chunk.c.chunker)
            & (found.c.heading == chunk.c.heading)
        )
        query = sa.select(chunk.c.id, chunk.c.text).join(found, same).where(found.c.id == chunk_id)
        with self.engine.connect() as session:
            return [(row.id, row.text) for row in session.execute(query.order_by(chunk.c.position))]
