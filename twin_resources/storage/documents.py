"""Documents as they were fetched: every version of each, and which are there now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.postgres import copy_upsert
from twin_resources.database.rows import Streamed, add_records
from twin_resources.database.schema import clean_document, document, document_version, source
from twin_resources.text.identity import content_id

FEWER_IS_NORMAL = 5
GONE_SHARE = 0.3
GONE_AFTER = 2


@dataclass(frozen=True)
class LiveDocument:
    """The newest version of a document that is not gone."""

    document_id: str
    version_id: str
    url: str
    origin: str
    platform: str
    category: str
    title: str | None
    byline: str | None
    media_type: str
    body: str
    published_at: datetime | None
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """A row of ``document``: where a document stands and which version is its newest."""

    id: str
    author: str
    url: str
    origin: str
    source_id: str
    platform: str
    category: str
    version_id: str
    former_urls: tuple[str, ...]
    gone_at: datetime | None = None
    missing: int = 0


@dataclass(frozen=True)
class Version:
    """A row of ``document_version``: one content that a document had."""

    id: str
    document_id: str
    content_hash: str
    title: str | None
    byline: str | None
    media_type: str
    body: str
    published_at: datetime | None
    payload: Mapping[str, Any]
    fetched_at: datetime


@dataclass(frozen=True)
class Vanished:
    """What a complete reading did not find: ``gone`` for good, ``absent`` for now, or ``kept`` because so many are
    missing at once that the source must be broken."""

    gone: int = 0
    absent: int = 0
    kept: int = 0


class Documents:
    """The tables ``document`` and ``document_version``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add(self, session: sa.Connection, heads: Sequence[Head], versions: Sequence[Version]) -> None:
        """Write new versions and move the pointers to them, in the caller's transaction."""
        columns = list(Head.__dataclass_fields__)
        moving = [name for name in columns if name not in ("id", "author")]
        rows = [tuple({**asdict(head), "former_urls": list(head.former_urls)}.values()) for head in heads]
        copy_upsert(session, document, columns, rows, update=moving)
        add_records(session, document_version, list(Version.__dataclass_fields__), versions)

    def missing_again(self, source_id: str, seen: set[str], limit: int) -> list[tuple[str, str]]:
        """(id, URL) of documents of a source that are missing for the second time."""
        query = (
            sa.select(document.c.id, document.c.url)
            .where(
                document.c.source_id == source_id, document.c.gone_at.is_(None), document.c.missing >= GONE_AFTER - 1
            )
            .order_by(document.c.id)
        )
        with self.engine.connect() as session:
            return [(row.id, row.url) for row in session.execute(query) if row.id not in seen][:limit]

    def mark_gone(
        self, session: sa.Connection, source_id: str, seen: set[str], *, accept: bool, confirmed: set[str] | None
    ) -> Vanished:
        """Decide on the documents of a source that a complete reading did not show, in the caller's transaction.

        Args:
            seen: ids of the documents that it showed.
            accept: many may be gone at once.
            confirmed: ids of documents that are gone by their own address; None where no address is asked.
        """
        mine = (document.c.source_id == source_id) & document.c.gone_at.is_(None)
        owned = set(session.scalars(sa.select(document.c.id).where(mine)))
        missing = owned - seen
        if len(missing) > max(FEWER_IS_NORMAL, GONE_SHARE * len(owned)) and not accept:
            return Vanished(kept=len(missing))
        gone = missing if confirmed is None or accept else missing & confirmed
        if gone:
            session.execute(sa.update(document).where(document.c.id.in_(gone)).values(gone_at=sa.func.now()))
        if confirmed is None:
            return Vanished(gone=len(gone))
        absent = missing - gone
        back = (document.c.source_id == source_id, document.c.missing > 0, document.c.id.not_in(absent))
        session.execute(sa.update(document).where(*back).values(missing=0))
        session.execute(sa.update(document).where(document.c.id.in_(absent)).values(missing=document.c.missing + 1))
        return Vanished(gone=len(gone), absent=len(absent))

    def raw_hash(self, author_id: str, origin: str) -> str:
        """Content hash of the live documents of one raw asset: the data version of that asset."""
        live = (document.c.author == author_id, document.c.origin == origin, document.c.gone_at.is_(None))
        with self.engine.connect() as session:
            return content_id(
                "raw", *session.scalars(sa.select(document.c.version_id).where(*live).order_by(document.c.id))
            )

    def origins(self, author_id: str) -> set[str]:
        """Raw assets that hold documents or sources of this author."""
        with self.engine.connect() as session:
            found = sa.union(
                sa.select(document.c.origin).where(document.c.author == author_id),
                sa.select(source.c.origin).where(source.c.author == author_id),
            )
            return set(session.scalars(found))

    def live(self, author_id: str, category: str, *, without_clean: str | None = None) -> Iterable[LiveDocument]:
        """Stream the newest versions of a category, in the order of their ids.

        Args:
            without_clean: leave out documents that this version of the cleaning has already been through.
        """
        version = document_version.c
        columns = (
            document.c.id.label("document_id"),
            *(document.c[name] for name in ("version_id", "url", "origin", "platform", "category")),
            *(version[name] for name in ("title", "byline", "media_type", "body", "published_at", "payload")),
        )
        query = (
            sa.select(*columns)
            .join(document_version, version.id == document.c.version_id)
            .where(document.c.author == author_id, document.c.category == category, document.c.gone_at.is_(None))
            .order_by(document.c.id)
        )
        if without_clean is not None:
            cleaned = (clean_document.c.version_id == document.c.version_id) & (
                clean_document.c.cleaner == without_clean
            )
            query = query.where(~sa.exists().where(cleaned))
        return Streamed(self.engine, query, lambda row: LiveDocument(**row))
