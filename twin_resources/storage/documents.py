"""Documents as they were fetched: every version of each, which are there now, and which of them an item is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.rows import Streamed, add_records
from twin_resources.database.schema import clean_document, document, document_version, forgotten, source
from twin_resources.sources.base import RawDocument, Unchanged
from twin_resources.text.identity import content_id, document_id

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
class Located:
    """Where a document stands today: its id, its URL and the raw asset it belongs to."""

    id: str
    url: str
    origin: str
    gone: bool


@dataclass(frozen=True)
class Vanished:
    """What a complete reading did not find: ``gone`` for good, ``absent`` for now, or ``kept`` because so many are
    missing at once that the source must be broken."""

    gone: int = 0
    absent: int = 0
    kept: int = 0


def _unread(session: sa.Connection, missing: set[str], items: set[str], *, by_address_only: bool) -> set[str]:
    """Those of the missing documents that may be what a reading could not read.

    An item in quarantine is matched by the address or the path that a document has. Of a document without a path that
    cannot be said for sure, so it is kept while an item matches none; an address says it by itself.
    """
    if not missing or not items:
        return set()
    path = document_version.c.payload["path"].astext.label("path")
    query = (
        sa.select(document.c.id, document.c.url, document.c.former_urls, document_version.c.payload["also"], path)
        .join(document_version, document_version.c.id == document.c.version_id)
        .where(document.c.id.in_(missing))
    )
    found: set[str] = set()
    matched: set[str] = set()
    nameless: set[str] = set()
    for key, url, former, also, where in session.execute(query):
        names = items & {url, *former, *(also or ())}
        if where:
            names |= {item for item in items if item == where or item.endswith(f"/{where}")}
        if names:
            found.add(key)
            matched |= names
        elif not where:
            nameless.add(key)
    return found if by_address_only or not items - matched else found | nameless


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
        self,
        session: sa.Connection,
        source_id: str,
        seen: set[str],
        *,
        accept: bool,
        confirmed: set[str] | None,
        unread: Iterable[str] = (),
    ) -> Vanished:
        """Decide on the documents of a source that a complete reading did not show, in the caller's transaction.

        What could not be read is not gone, and a reading without any document keeps all that the source had.

        Args:
            seen: ids of the documents that it showed.
            accept: many may be gone at once.
            confirmed: ids of documents that are gone by their own address; None where no address is asked.
            unread: what is in quarantine, as the source names it: by an address, or by file and entry.
        """
        mine = (document.c.source_id == source_id) & document.c.gone_at.is_(None)
        owned = set(session.scalars(sa.select(document.c.id).where(mine)))
        missing = owned - seen
        if missing and not seen and not accept:
            return Vanished(kept=len(missing))
        kept = _unread(session, missing, set(unread), by_address_only=confirmed is not None)
        missing -= kept
        if len(missing) > max(FEWER_IS_NORMAL, GONE_SHARE * len(owned)) and not accept:
            return Vanished(kept=len(missing))
        gone = missing if confirmed is None or accept else missing & confirmed
        if gone:
            session.execute(sa.update(document).where(document.c.id.in_(gone)).values(gone_at=sa.func.now()))
        if confirmed is None:
            return Vanished(gone=len(gone), absent=len(kept))
        absent = missing - gone
        back = (document.c.source_id == source_id, document.c.missing > 0, document.c.id.not_in(absent))
        session.execute(sa.update(document).where(*back).values(missing=0))
        session.execute(sa.update(document).where(document.c.id.in_(absent)).values(missing=document.c.missing + 1))
        return Vanished(gone=len(gone), absent=len(absent | kept))

    def url(self, document_id: str) -> str | None:
        """The address of a document, None where none has this id."""
        with self.engine.connect() as session:
            return session.scalar(sa.select(document.c.url).where(document.c.id == document_id))

    def forgotten(self, author_id: str, document_ids: Sequence[str]) -> list[str]:
        """Those of the ids that were forgotten and must never be collected again."""
        query = sa.select(forgotten.c.document_id).where(
            forgotten.c.author == author_id, forgotten.c.document_id.in_(document_ids)
        )
        with self.engine.connect() as session:
            return list(session.scalars(query))

    def at(self, author_id: str, urls: Sequence[str]) -> dict[str, Located]:
        """The documents of an author by the addresses they have or had before they moved."""
        named = document.c.url.in_(urls) | document.c.former_urls.overlap(sa.cast(list(urls), ARRAY(sa.Text)))
        columns = (document.c.id, document.c.url, document.c.former_urls, document.c.origin, document.c.gone_at)
        query = sa.select(*columns).where(document.c.author == author_id, named).order_by(document.c.id)
        found: dict[str, Located] = {}
        with self.engine.connect() as session:
            rows = session.execute(query).all()
        for row in rows:
            there = Located(row.id, row.url, row.origin, gone=row.gone_at is not None)
            found.update({url: there for url in row.former_urls if url not in found})
        found.update({row.url: Located(row.id, row.url, row.origin, gone=row.gone_at is not None) for row in rows})
        return found

    def count(self, author_id: str, origin: str) -> int:
        """How many documents a raw asset holds."""
        live = (document.c.author == author_id, document.c.origin == origin, document.c.gone_at.is_(None))
        with self.engine.connect() as session:
            return session.scalar(sa.select(sa.func.count()).where(*live)) or 0

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


@dataclass(frozen=True)
class StoredDocument:
    """Where a document stands; ``source_added_at`` is when the source that provides it was added."""

    id: str
    url: str
    former_urls: tuple[str, ...]
    version_id: str | None
    gone_at: datetime | None
    source_id: str | None
    source_added_at: datetime | None

    def provided_by_another(self, source_id: str) -> bool:
        """Whether it is there, and another source than this one provides it."""
        return self.gone_at is None and self.source_id not in (None, source_id)


_OWNER = source.alias("owner")
_STORED = sa.select(
    document.c.id,
    document.c.url,
    document.c.former_urls,
    document.c.version_id,
    document.c.gone_at,
    document.c.source_id,
    _OWNER.c.added_at,
).join(_OWNER, _OWNER.c.id == document.c.source_id, isouter=True)


def _stored(row: Any) -> StoredDocument:
    return StoredDocument(
        row.id, row.url, tuple(row.former_urls), row.version_id, row.gone_at, row.source_id, row.added_at
    )


class Addresses:
    """The documents that a batch is about, found by the addresses they have, had, or can only share with an item.

    Args:
        by_other_urls: also by addresses that can only be the same document, as sources of the network give them.
    """

    def __init__(
        self,
        session: sa.Connection,
        author_id: str,
        source_id: str,
        items: Sequence[RawDocument | Unchanged],
        *,
        by_other_urls: bool,
    ) -> None:
        self._author_id = author_id
        urls = [item.url for item in items]
        documents = [item for item in items if isinstance(item, RawDocument)]
        named = document.c.url.in_(urls) | document.c.former_urls.overlap(urls)
        mine = _STORED.where(document.c.author == author_id).order_by(document.c.id)
        found = [_stored(row) for row in session.execute(mine.where(named))]
        self._by_url = {stored.url: stored for stored in found}
        self._by_former = {url: stored for stored in found for url in stored.former_urls}
        self._by_other: dict[str, StoredDocument] = {}
        if by_other_urls and items:
            permanent = sorted({*urls, *(url for item in documents for url in item.same)})
            self._by_other = _sharing(session, mine, source_id, permanent)
        others = {url for item in documents for url in (*item.also, *item.same)}
        ids = {document_id(author_id, url) for url in (*urls, *others)} | {stored.id for stored in found}
        wanted = (forgotten.c.author == author_id, forgotten.c.document_id.in_(ids))
        self._forgotten = set(session.scalars(sa.select(forgotten.c.document_id).where(*wanted)))

    def find(self, item: RawDocument | Unchanged) -> StoredDocument | None:
        """The document an item is about, or None where it is a new one."""
        found = self._by_url.get(item.url) or self._by_former.get(item.url)
        if found is None and isinstance(item, RawDocument):
            found = next((self._by_other[url] for url in (item.url, *item.same) if url in self._by_other), None)
        return found

    def is_forgotten(self, item: RawDocument | Unchanged) -> bool:
        """Whether the document was forgotten, under this address or under another of its own."""
        urls = (item.url, *item.also, *item.same) if isinstance(item, RawDocument) else (item.url,)
        return any(document_id(self._author_id, url) in self._forgotten for url in urls)


def _sharing(
    session: sa.Connection, stored: sa.Select, source_id: str, permanent: Sequence[str]
) -> dict[str, StoredDocument]:
    """Documents of a source by the addresses that can only be theirs."""
    same = document_version.c.payload["same"]
    shared = (
        stored.add_columns(same.label("same"))
        .join(document_version, document_version.c.id == document.c.version_id)
        .where(
            document.c.source_id == source_id,
            document.c.gone_at.is_(None),
            document.c.url.in_(permanent) | same.has_any(sa.cast(permanent, ARRAY(sa.Text))),
        )
    )
    found: dict[str, StoredDocument] = {}
    for row in session.execute(shared):
        for url in (row.url, *(row.same or ())):
            found.setdefault(url, _stored(row))
    return found


def addresses_of(item: RawDocument, before: StoredDocument | None) -> tuple[str, tuple[str, ...]]:
    """The URL a document has from now on, and those it had before."""
    if before is None or before.url == item.url:
        return item.url, before.former_urls if before else ()
    if item.url in before.former_urls:
        return before.url, before.former_urls
    return item.url, tuple(dict.fromkeys((*before.former_urls, before.url)))
