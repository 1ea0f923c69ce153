"""Which stored document an item is about, by the addresses both have or had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from twin_resources.database.schema import document, document_version, forgotten, source
from twin_resources.sources.base import RawDocument, Unchanged
from twin_resources.text.identity import document_id


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
        urls = (item.url, *item.also) if isinstance(item, RawDocument) else (item.url,)
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
