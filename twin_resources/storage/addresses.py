"""What is remembered of addresses: what visits gave, and which documents have them, in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from twin_resources.database.schema import document, document_version, forgotten, source, visit
from twin_resources.network.response import Validators
from twin_resources.sources.base import Item, Quarantined, RawDocument, Skipped, Unchanged
from twin_resources.sources.network import Visit
from twin_resources.text.identity import document_id


class Visits:
    """Visits and cursor of one source, kept in Postgres.

    ``cursor`` is what the source itself wants to remember (JSON); it is saved when a reading has ended well.
    """

    def __init__(self, engine: sa.Engine, author_id: str, source_id: str) -> None:
        self.author_id = author_id
        self.source_id = source_id
        self._pending: dict[str, dict[str, Any]] = {}
        with engine.connect() as session:
            self.cursor: dict[str, Any] = dict(
                session.scalar(sa.select(source.c.cursor).where(source.c.id == source_id)) or {}
            )
            rows = session.execute(sa.select(visit).where(visit.c.source_id == source_id)).mappings()
            self._visits = {row["url"]: dict(row) for row in rows}
            mine = sa.select(document.c.url, document.c.former_urls).where(
                document.c.author == author_id, document.c.gone_at.is_(None)
            )
            self._live: dict[str, str] = {}
            for row in session.execute(mine):
                self._live[row.url] = row.url
                self._live.update(dict.fromkeys(row.former_urls, row.url))
            self._forgotten = set(
                session.scalars(sa.select(forgotten.c.document_id).where(forgotten.c.author == author_id))
            )

    def recall(self, url: str, reader: str) -> Visit | None:
        """What is known of ``url``; None where it has to be read anew: unknown, read by other code, or gone since."""
        row = self._visits.get(url)
        if row is None or row["outcome"].get("reader") != reader:
            return None
        items: list[Item] = []
        for kind, *values in row["outcome"]["items"]:
            if kind == "skipped":
                items.append(Skipped(*values))
            elif kind == "quarantined":
                items.append(Quarantined(*values))
            elif document_id(self.author_id, values[0]) in self._forgotten:
                items.append(Skipped(values[0], "forgotten"))
            elif values[0] in self._live:
                items.append(Unchanged(self._live[values[0]]))
            else:
                return None
        days = (datetime.now(UTC) - row["at"]).total_seconds() / 86400
        return Visit(row["marker"], Validators(row["etag"], row["last_modified"]), tuple(items), days)

    def note(self, url: str, items: Iterable[Item], reader: str, marker: str | None, validators: Validators) -> None:
        """Remember what a visit gave; written together with the next batch of documents."""
        outcome = []
        for item in items:
            if isinstance(item, Skipped):
                outcome.append(["skipped", item.item, item.reason, item.detail])
            elif isinstance(item, Quarantined):
                outcome.append(["quarantined", item.item, item.reason, item.remedy])
            else:
                outcome.append(["document", item.url])
        self._pending[url] = {
            "source_id": self.source_id,
            "url": url,
            "etag": validators.etag,
            "last_modified": validators.last_modified,
            "marker": marker,
            "outcome": {"reader": reader, "items": outcome},
            "at": datetime.now(UTC),
        }

    def visited(self, reader: str) -> dict[str, str]:
        """Addresses whose document is still held, with the URL of that document."""
        found = {}
        for url in self._visits:
            known = self.recall(url, reader)
            if known and len(known.items) == 1 and isinstance(known.items[0], Unchanged):
                found[url] = known.items[0].url
        return found

    def write(self, session: sa.Connection) -> None:
        """Write the visits of a batch, in the transaction that writes its documents."""
        if not self._pending:
            return
        statement = insert(visit)
        changed = {name: statement.excluded[name] for name in ("etag", "last_modified", "marker", "outcome", "at")}
        session.execute(
            statement.on_conflict_do_update(index_elements=["source_id", "url"], set_=changed),
            list(self._pending.values()),
        )
        self._visits.update(self._pending)
        for row in self._pending.values():
            for kind, *values in row["outcome"]["items"]:
                if kind == "document":
                    self._live.setdefault(values[0], values[0])
        self._pending.clear()

    def write_cursor(self, session: sa.Connection) -> None:
        """Write the cursor, at the end of a reading."""
        session.execute(sa.update(source).where(source.c.id == self.source_id).values(cursor=self.cursor))


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
