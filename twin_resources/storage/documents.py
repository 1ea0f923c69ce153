"""Documents as they were fetched: every version of each with the page it was read from, and which are there now."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.rows import Streamed, add_records, storable
from twin_resources.database.schema import (
    clean_document,
    document,
    document_version,
    extraction,
    forgotten,
    raw_page,
    source,
)
from twin_resources.readers.extraction import FetchedPage
from twin_resources.text.identity import content_id_of

FEWER_IS_NORMAL = 5
GONE_SHARE = 0.3
GONE_AFTER = 2


@dataclass(frozen=True)
class LiveDocument:
    """The newest version of a document that is not gone, as its page is read today; ``extraction`` names that reading
    where it is another one than the version holds."""

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
    extraction: str | None = None


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
class StoredPage:
    """A row of ``raw_page``: the page that a version was read from by ``extractor``; ``content`` is compressed."""

    version_id: str
    document_id: str
    url: str
    content_type: str
    content: bytes
    extractor: str

    @classmethod
    def of(cls, page: FetchedPage, version: Version, extractor: str) -> StoredPage:
        """The row for a page that was just fetched."""
        packed = zlib.compress(page.content, 6)
        return cls(version.id, version.document_id, page.url, page.content_type, packed, extractor)

    def fetched(self) -> FetchedPage:
        """The page as it was fetched."""
        return FetchedPage(self.url, self.content_type, zlib.decompress(self.content))


@dataclass(frozen=True)
class VersionPage:
    """The page of a live document's newest version, and what that version holds."""

    page: StoredPage
    document_url: str
    former_urls: Sequence[str]
    title: str | None
    byline: str | None
    body: str
    published_at: datetime | None
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Reextraction:
    """A row of ``extraction``: what ``extractor`` reads out of a stored page; no content where that is what the version
    holds."""

    version_id: str
    document_id: str
    extractor: str
    content_hash: str | None = None
    title: str | None = None
    byline: str | None = None
    body: str | None = None
    published_at: datetime | None = None
    payload: Mapping[str, Any] | None = None


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


class Seen:
    """Which documents a reading has come to, 16 bytes each, however many there are."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, "S16")
        self._newest: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._newest)

    def __contains__(self, key: str) -> bool:
        digest = _digest(key)
        at = np.searchsorted(self._sorted, digest)
        return digest in self._newest or bool(at < len(self._sorted) and self._sorted[at] == digest)

    def add(self, key: str) -> None:
        """Add a document by its id."""
        if key not in self:
            self._newest.add(_digest(key))
        if len(self._newest) >= _NEWEST:
            self._sorted = np.union1d(self._sorted, np.array(list(self._newest), "S16"))
            self._newest.clear()


def _digest(key: str) -> bytes:
    """16 bytes without a zero, which numpy would take off the end."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest().replace(b"\0", b"\1")


_NEWEST = 2000


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


_PAGES_HELD = 20
_PAGES = (
    sa.select(
        *(raw_page.c[name] for name in StoredPage.__dataclass_fields__),
        document.c.url.label("document_url"),
        document.c.former_urls,
        *(document_version.c[name] for name in ("title", "byline", "body", "published_at", "payload")),
    )
    .join(document_version, document_version.c.id == raw_page.c.version_id)
    .join(document, document.c.version_id == raw_page.c.version_id)
)


def _version_page(row: sa.RowMapping) -> VersionPage:
    held = dict(row)
    return VersionPage(StoredPage(**{name: held.pop(name) for name in StoredPage.__dataclass_fields__}), **held)


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

    def add_pages(self, session: sa.Connection, pages: Sequence[StoredPage]) -> None:
        """Write the pages of versions, in the caller's transaction; a version keeps the page it was read from."""
        if pages:
            add_records(session, raw_page, list(StoredPage.__dataclass_fields__), pages)

    def page_readers(self, session: sa.Connection, version_ids: Sequence[str]) -> dict[str, str]:
        """The versions of which the page is stored, with the extractor that read what they hold."""
        query = sa.select(raw_page.c.version_id, raw_page.c.extractor).where(raw_page.c.version_id.in_(version_ids))
        return {row.version_id: row.extractor for row in session.execute(query)} if version_ids else {}

    def page(self, session: sa.Connection, version_id: str) -> VersionPage:
        """The stored page of a live version."""
        return _version_page(session.execute(_PAGES.where(raw_page.c.version_id == version_id)).mappings().one())

    def pages_read_by_another(self, author_id: str, category: str, extractor: str) -> Iterable[VersionPage]:
        """Stream the pages of live documents that this extractor has not read yet."""
        last = sa.func.coalesce(extraction.c.extractor, raw_page.c.extractor)
        query = (
            _PAGES.join(extraction, extraction.c.version_id == raw_page.c.version_id, isouter=True)
            .where(document.c.author == author_id, document.c.category == category, document.c.gone_at.is_(None))
            .where(last != extractor)
            .order_by(document.c.id)
        )
        return Streamed(self.engine, query, _version_page, page=_PAGES_HELD)

    def add_extractions(self, found: Sequence[Reextraction]) -> None:
        """Write what an extractor read out of stored pages, in place of what another one did."""
        columns = list(Reextraction.__dataclass_fields__)
        rows = [tuple(storable(getattr(each, column)) for column in columns) for each in found]
        with self.engine.begin() as session:
            still = sa.select(document_version.c.id).where(document_version.c.id.in_([row[0] for row in rows]))
            there = set(session.scalars(still.with_for_update(key_share=True)))  # what was forgotten meanwhile is not
            kept = [row for row in rows if row[0] in there]
            copy_upsert(session, extraction, columns, kept, update=columns[1:])

    def missing_again(self, source_id: str, seen: Seen, limit: int) -> list[tuple[str, str]]:
        """(id, URL) of documents of a source that are missing for the second time."""
        query = (
            sa.select(document.c.id, document.c.url)
            .where(
                document.c.source_id == source_id, document.c.gone_at.is_(None), document.c.missing >= GONE_AFTER - 1
            )
            .order_by(document.c.id)
        )
        found = Streamed(self.engine, query, lambda row: (row["id"], row["url"]))
        return list(itertools.islice((each for each in found if each[0] not in seen), limit))

    def mark_gone(
        self,
        session: sa.Connection,
        source_id: str,
        seen: Seen,
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
        owned = session.scalar(sa.select(sa.func.count()).where(mine)) or 0
        held = sa.select(document.c.id).where(mine).execution_options(yield_per=1000)
        missing = {key for key in session.scalars(held) if key not in seen}
        if missing and not len(seen) and not accept:
            return Vanished(kept=len(missing))
        kept = _unread(session, missing, set(unread), by_address_only=confirmed is not None)
        missing -= kept
        if len(missing) > max(FEWER_IS_NORMAL, GONE_SHARE * owned) and not accept:
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
        query = sa.select(document.c.version_id).where(*live).order_by(document.c.id)
        versions = Streamed(self.engine, query, lambda row: row["version_id"], page=1000)
        return content_id_of(itertools.chain(("raw",), versions))

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
        version, later = document_version.c, extraction.c
        read = ("title", "byline", "body", "published_at", "payload")
        columns = (
            document.c.id.label("document_id"),
            *(document.c[name] for name in ("version_id", "url", "origin", "platform", "category")),
            *(sa.case((later.content_hash.is_(None), version[name]), else_=later[name]).label(name) for name in read),
            version.media_type,
            later.content_hash.label("extraction"),
        )
        query = (
            sa.select(*columns)
            .join(document_version, version.id == document.c.version_id)
            .join(extraction, later.version_id == document.c.version_id, isouter=True)
            .where(document.c.author == author_id, document.c.category == category, document.c.gone_at.is_(None))
            .order_by(document.c.id)
        )
        if without_clean is not None:
            cleaned = sa.exists().where(
                clean_document.c.version_id == document.c.version_id,
                clean_document.c.cleaner == without_clean,
                clean_document.c.extraction.is_not_distinct_from(later.content_hash),
            )
            query = query.where(~cleaned)
        return Streamed(self.engine, query, lambda row: LiveDocument(**row))
