"""What is remembered of every address that was visited, in Postgres."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import document, forgotten, source, visit
from twin_resources.network.response import Validators
from twin_resources.sources.base import Item, Quarantined, Skipped, Unchanged
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
