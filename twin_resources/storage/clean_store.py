"""Snapshot 1: clean documents, which of them are current, and why some are left out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.replica import read_again
from twin_resources.database.rows import Streamed, add_records
from twin_resources.database.schema import clean_document, document, extraction
from twin_resources.text.identity import content_id_of

_TEXTS_A_PAGE = 100


@dataclass(frozen=True)
class CleanDocument:
    """A row of ``clean_document``: one version of a document, cleaned.

    ``kept_share`` is the share of the source's words that the text keeps; ``attributes`` hold what is known besides
    (path, language, other addresses), ``removed`` what was taken out, by reason; ``excluded`` is why it is not used.
    """

    id: str
    author: str
    document_id: str
    version_id: str
    cleaner: str
    category: str
    platform: str
    url: str
    title: str
    published_at: datetime | None
    text: str
    content_hash: str
    words: int
    kept_share: float
    byline: str | None
    attributes: Mapping[str, Any]
    removed: Mapping[str, Any]
    excluded: str | None = None
    duplicate_of: str | None = None
    extraction: str | None = None
    """The reading of the stored page that it was made from, where that is not what the version holds."""


@dataclass(frozen=True)
class CleanEntry:
    """A current clean document without its text, for those who decide on it or show it."""

    id: str
    document_id: str
    category: str
    platform: str
    url: str
    title: str
    byline: str | None
    published_at: datetime | None
    words: int
    kept_share: float
    attributes: Mapping[str, Any]
    excluded: str | None = None
    duplicate_of: str | None = None
    removed: Mapping[str, Any] = field(default_factory=dict)
    """What was taken out, by reason; only where it is shown, because it holds samples."""


@dataclass(frozen=True)
class Exclusion:
    """Why a clean document is left out: the ``reason`` (None where it is used), the id of the document it repeats, and
    what the author said about it in ``twin.yaml``."""

    reason: str | None = None
    duplicate_of: str | None = None
    overridden: str | None = None


@dataclass(frozen=True)
class Writing:
    """A current document as far as it matters which others share its text; ``used`` is False for one that is left out
    because it repeats ``duplicate_of``."""

    document_id: str
    used: bool
    category: str
    url: str
    version_id: str = ""
    duplicate_of: str | None = None
    repository: str | None = None
    published_at: datetime | None = None


@dataclass(frozen=True)
class CleanTotals:
    """Sums over the clean documents in use; ``kept_in_all`` weighs the kept share of each by its words."""

    documents: int
    words: int
    worst_kept_share: float
    kept_in_all: float


_COLUMNS = tuple(CleanDocument.__dataclass_fields__)
_SHOWN = tuple(clean_document.c[name] for name in CleanEntry.__dataclass_fields__)
_ENTRY = tuple(column for column in _SHOWN if column.name != "removed")
_USED = clean_document.c.current & clean_document.c.excluded.is_(None)


def _of(author_id: str, category: str | None = None) -> sa.ColumnElement[bool]:
    mine = clean_document.c.author == author_id
    return mine if category is None else mine & (clean_document.c.category == category)


class CleanStore:
    """The ``clean_document`` table."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add(self, documents: Sequence[CleanDocument]) -> None:
        """Add clean documents; existing ones stay."""
        if documents:
            with self.engine.begin() as session:
                add_records(session, clean_document, _COLUMNS, documents)

    def point_to_current(self, author_id: str, category: str, cleaner: str) -> int:
        """Point ``current`` at the clean form of each live document's newest version; with the URL
        that the document has today; returns how many rows moved."""
        newest = document.outerjoin(extraction, extraction.c.version_id == document.c.version_id)
        is_current = (
            sa.exists()
            .select_from(newest)
            .where(
                document.c.id == clean_document.c.document_id,
                document.c.version_id == clean_document.c.version_id,
                document.c.category == clean_document.c.category,
                document.c.gone_at.is_(None),
                clean_document.c.cleaner == cleaner,
                clean_document.c.extraction.is_not_distinct_from(extraction.c.content_hash),
            )
            .correlate(clean_document)
        )
        moving = (_of(author_id, category), clean_document.c.current != is_current)
        moved = (_of(author_id, category), clean_document.c.current, document.c.id == clean_document.c.document_id)
        elsewhere = sa.update(clean_document).where(*moved, document.c.url != clean_document.c.url)
        with self.engine.begin() as session:
            count = session.execute(sa.update(clean_document).where(*moving).values(current=is_current)).rowcount
            return count + session.execute(elsewhere.values(url=document.c.url)).rowcount

    @read_again
    def read(self, document_id: str, author_ids: Collection[str]) -> CleanDocument | None:
        """The newest clean form of a document that is there, whether it is used or not; None where none of these
        authors has such a document any more."""
        query = (
            sa.select(*(clean_document.c[name] for name in _COLUMNS))
            .join(document, document.c.id == clean_document.c.document_id)
            .where(clean_document.c.document_id == document_id, clean_document.c.author.in_(author_ids))
            .where(clean_document.c.current, document.c.gone_at.is_(None))
            .order_by(clean_document.c.created_at.desc(), clean_document.c.id)
            .limit(1)
        )
        with self.engine.connect() as session:
            row = session.execute(query).mappings().first()
        return CleanDocument(**row) if row else None

    def set_exclusions(self, exclusions: Mapping[str, Exclusion]) -> None:
        """Write why clean documents are left out, by their ids."""
        if not exclusions:
            return
        said = sa.cast(sa.bindparam("said"), sa.Text)
        overridden = sa.case(
            (said.is_(None), clean_document.c.attributes.op("-")("overruled")),
            else_=clean_document.c.attributes.op("||")(sa.func.jsonb_build_object("overruled", said)),
        )
        statement = (
            sa.update(clean_document)
            .where(clean_document.c.id == sa.bindparam("key"))
            .values(excluded=sa.bindparam("reason"), duplicate_of=sa.bindparam("original"), attributes=overridden)
        )
        rows = [
            {"key": key, "reason": found.reason, "original": found.duplicate_of, "said": found.overridden}
            for key, found in exclusions.items()
        ]
        with self.engine.begin() as session:
            session.execute(statement, rows)

    def documents(self, author_id: str, category: str | None = None) -> Iterable[CleanDocument]:
        """Stream the documents in use, in the order of their ids."""
        query = sa.select(*(clean_document.c[name] for name in _COLUMNS)).where(_of(author_id, category), _USED)
        return Streamed(self.engine, query.order_by(clean_document.c.id), lambda row: CleanDocument(**row))

    def documents_of(self, author_id: str, category: str | None, *, among: Sequence[str]) -> Iterable[CleanDocument]:
        """Stream those of the documents ``among`` that still exist, used or not, in the order of their ids."""
        wanted = (_of(author_id, category), clean_document.c.id.in_(among))
        query = sa.select(*(clean_document.c[name] for name in _COLUMNS)).where(*wanted)
        return Streamed(self.engine, query.order_by(clean_document.c.id), lambda row: CleanDocument(**row))

    def count_of(self, ids: Sequence[str]) -> int:
        """How many of these clean documents still exist."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(sa.func.count()).where(clean_document.c.id.in_(ids))) or 0

    def entries(self, author_id: str, category: str) -> Iterable[CleanEntry]:
        """Stream the current documents of a category in the order of their document ids, those that are left out
        included."""
        query = sa.select(*_ENTRY).where(_of(author_id, category), clean_document.c.current)
        ordered = query.order_by(clean_document.c.document_id.collate("C"))
        return Streamed(self.engine, ordered, lambda row: CleanEntry(**row))

    def reasons(self, author_id: str, category: str) -> dict[str | None, int]:
        """How many current documents are left out for each reason; those in use under None."""
        query = sa.select(clean_document.c.excluded, sa.func.count()).where(
            _of(author_id, category), clean_document.c.current
        )
        with self.engine.connect() as session:
            return {row[0]: row[1] for row in session.execute(query.group_by(clean_document.c.excluded))}

    def writings(self, author_id: str) -> list[Writing]:
        """Documents of all categories that are used, or repeat one that is, in the order of their ids."""
        columns = clean_document.c
        query = sa.select(
            columns.document_id,
            columns.excluded.is_(None),
            columns.category,
            columns.url,
            columns.version_id,
            columns.duplicate_of,
            columns.attributes["repository"].astext,
            columns.published_at,
        ).where(_of(author_id), columns.current, columns.excluded.is_(None) | columns.duplicate_of.is_not(None))
        with self.engine.connect() as session:
            return [Writing(*row) for row in session.execute(query.order_by(columns.document_id.collate("C")))]

    def first_entries(self, author_id: str, category: str, limit: int) -> list[CleanEntry]:
        """The first current documents for a table: those left out before those in use, then by title."""
        order = (
            clean_document.c.excluded.is_(None),
            clean_document.c.title.collate("C"),
            clean_document.c.id,
        )
        query = sa.select(*_SHOWN).where(_of(author_id, category), clean_document.c.current).order_by(*order)
        with self.engine.connect() as session:
            return [CleanEntry(**row) for row in session.execute(query.limit(limit)).mappings()]

    def entries_of(self, author_id: str, document_ids: Iterable[str]) -> dict[str, CleanEntry]:
        """Current documents of any category by document id, those that are left out included."""
        wanted = (_of(author_id), clean_document.c.current, clean_document.c.document_id.in_(list(document_ids)))
        with self.engine.connect() as session:
            rows = session.execute(sa.select(*_ENTRY).where(*wanted)).mappings()
            return {row["document_id"]: CleanEntry(**row) for row in rows}

    def urls(self, author_id: str, category: str, document_ids: Iterable[str]) -> dict[str, str]:
        """URLs of current documents by document id."""
        query = sa.select(clean_document.c.document_id, clean_document.c.url).where(
            _of(author_id, category), clean_document.c.current, clean_document.c.document_id.in_(list(document_ids))
        )
        with self.engine.connect() as session:
            return {row.document_id: row.url for row in session.execute(query)}

    def texts(self, author_id: str, category: str, document_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Stream (document id, text) of current documents, a page at a time, each page in the order of the ids."""
        for page in _pages(document_ids):
            query = sa.select(clean_document.c.document_id, clean_document.c.text).where(
                _of(author_id, category), clean_document.c.current, clean_document.c.document_id.in_(page)
            )
            with self.engine.connect() as session:
                found = {row.document_id: row.text for row in session.execute(query)}
            yield from ((key, found[key]) for key in page if key in found)

    def totals(self, author_id: str, category: str) -> CleanTotals:
        """Sums over the documents in use."""
        words, share = clean_document.c.words, clean_document.c.kept_share
        query = sa.select(sa.func.count(), sa.func.sum(words), sa.func.min(share), sa.func.sum(words * share)).where(
            _of(author_id, category), _USED
        )
        with self.engine.connect() as session:
            count, total, worst, kept = session.execute(query).one()
        return CleanTotals(count, total or 0, 1.0 if worst is None else worst, kept / total if total else 1.0)

    def lossy(self, author_id: str, category: str, least: float, limit: int) -> tuple[int, list[tuple[str, float]]]:
        """How many documents in use keep less than a share of their words, and (URL, share) of the first."""
        wanted = (_of(author_id, category), _USED, clean_document.c.kept_share < least)
        columns = (clean_document.c.url, clean_document.c.kept_share)
        shown = sa.select(*columns).where(*wanted).order_by(clean_document.c.id).limit(limit)
        with self.engine.connect() as session:
            count = session.scalar(sa.select(sa.func.count()).where(*wanted)) or 0
            return count, [
                (row.url, row.kept_share) for row in session.execute(shown.order_by(clean_document.c.id).limit(limit))
            ]

    def hash(self, author_id: str, category: str) -> str:
        """Content hash of snapshot 1 for a category: texts, and the addresses and dates that citations carry."""
        names = ("document_id", "content_hash", "title", "url", "published_at")
        columns = (clean_document.c[name] for name in names)
        query = sa.select(*columns).where(_of(author_id, category), _USED).order_by(clean_document.c.document_id)
        rows = Streamed(self.engine, query, _cited, page=1000)
        return content_id_of(itertools.chain(("clean",), itertools.chain.from_iterable(rows)))


def _cited(row: sa.RowMapping) -> tuple[object, ...]:
    *fields, published = row.values()
    return *fields, published and published.isoformat()


def _pages(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while page := list(itertools.islice(remaining, _TEXTS_A_PAGE)):
        yield page
