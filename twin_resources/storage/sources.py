"""Whose work is read, with consent, and from where: authors, sources, what came of the last reading, quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.config.settings import AuthorSettings
from twin_resources.database.schema import author, chunk, clean_document, document, quarantine, source
from twin_resources.sources.base import Quarantined, Source
from twin_resources.text.identity import content_id


class Authors:
    """The ``author`` table, and how much of an author there is."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def record(self, settings: AuthorSettings) -> None:
        """Record an author with the consent of ``twin.yaml``; keeps the first date while the words are the same."""
        statement = insert(author).values(id=settings.id, name=settings.name, consent=settings.consent)
        new = statement.excluded
        since = sa.case((author.c.consent == new.consent, author.c.recorded_at), else_=sa.func.now())
        changed = {"name": new.name, "consent": new.consent, "recorded_at": since}
        with self.engine.begin() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))

    def counts(self, author_id: str) -> dict[str, int]:
        """How much of an author is stored at each stage."""
        used = (clean_document.c.current, clean_document.c.excluded.is_(None))
        conditions = {
            "documents": (document.c.author == author_id, document.c.gone_at.is_(None)),
            "clean_documents": (clean_document.c.author == author_id, *used),
            "chunks": (chunk.c.author == author_id, chunk.c.current),
            "quarantined": (quarantine.c.author == author_id,),
        }
        with self.engine.connect() as session:
            return {
                name: session.scalar(sa.select(sa.func.count()).where(*wanted)) or 0
                for name, wanted in conditions.items()
            }


@dataclass(frozen=True)
class KnownSource:
    """A source as it was registered; ``options`` are those of its entry in ``twin.yaml`` or of ``twin import``."""

    id: str
    kind: str
    location: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Missing:
    """How many documents a source does not have any more, though they were kept."""

    location: str
    documents: int


@dataclass(frozen=True)
class Reading:
    """A source with its last reading; ``remembered`` is one that was imported and does not stand in ``twin.yaml``."""

    author: str
    kind: str
    location: str
    remembered: bool
    read_at: datetime | None
    counts: Mapping[str, Any] | None
    failure: str | None
    failed_at: datetime | None


class Sources:
    """The tables ``source`` and ``quarantine``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def remember(self, author_id: str, opened: Source, options: Mapping[str, Any], *, remembered: bool) -> str:
        """Register a source and return its id; ``remembered`` marks one that ``twin.yaml`` does not name."""
        source_id = content_id("source", author_id, opened.kind, opened.location)
        statement = insert(source).values(
            id=source_id,
            author=author_id,
            kind=opened.kind,
            origin=opened.platform,
            location=opened.location,
            options=dict(options),
            remembered=remembered,
        )
        newer = {"options": statement.excluded.options}
        with self.engine.begin() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=newer))
        return source_id

    def remembered(self, author_id: str, origin: str) -> list[KnownSource]:
        """Sources of one raw asset that were added by ``twin import``, in the order they were added."""
        query = (
            sa.select(source.c.id, source.c.kind, source.c.location, source.c.options)
            .where(source.c.author == author_id, source.c.origin == origin, source.c.remembered)
            .order_by(source.c.added_at, source.c.id)
        )
        with self.engine.connect() as session:
            return [KnownSource(*row) for row in session.execute(query)]

    def drop_sources(self, author_id: str, origin: str, *, keep: Iterable[str]) -> int:
        """Forget the sources of a raw asset that are not among ``keep``: they were taken out of ``twin.yaml``.

        Returns:
            The number of documents that only they provided, and which are gone with them.
        """
        with self.engine.begin() as session:
            dropped = sa.select(source.c.id).where(
                source.c.author == author_id, source.c.origin == origin, source.c.id.not_in(list(keep))
            )
            gone = session.execute(
                sa.update(document)
                .where(document.c.source_id.in_(dropped), document.c.gone_at.is_(None))
                .values(gone_at=sa.func.now())
            )
            session.execute(sa.delete(source).where(source.c.id.in_(dropped)))
            return gone.rowcount

    def record_failure(self, source_id: str, why: str) -> None:
        """Record with a source that it cannot be read, and why; the next reading that ends well clears it."""
        since = sa.func.coalesce(source.c.failed_at, sa.func.now())
        with self.engine.begin() as session:
            session.execute(sa.update(source).where(source.c.id == source_id).values(failed_at=since, failure=why))

    def record_reading(self, session: sa.Connection, source_id: str, counts: Mapping[str, Any]) -> None:
        """Record a reading that ended well, in the caller's transaction."""
        values = {"read_at": sa.func.now(), "counts": dict(counts), "failed_at": None, "failure": None}
        session.execute(sa.update(source).where(source.c.id == source_id).values(values))

    def set_quarantine(
        self, session: sa.Connection, author_id: str, source_id: str, items: Sequence[Quarantined]
    ) -> None:
        """Replace what could not be read of a source, in the caller's transaction."""
        session.execute(sa.delete(quarantine).where(quarantine.c.source_id == source_id))
        rows = [
            {
                "id": content_id("quarantine", source_id, item.item, item.reason),
                "author": author_id,
                "source_id": source_id,
                "item": item.item,
                "reason": item.reason,
                "remedy": item.remedy,
            }
            for item in items
        ]
        if rows:
            session.execute(insert(quarantine).on_conflict_do_nothing(), rows)

    def missing(self, author_id: str, origin: str) -> list[Missing]:
        """Sources of a raw asset in which suspiciously many documents were missing at the last reading."""
        count = sa.cast(source.c.counts["missing_kept"].astext, sa.Integer)
        query = sa.select(source.c.location, count).where(
            source.c.author == author_id, source.c.origin == origin, count > 0
        )
        with self.engine.connect() as session:
            return [Missing(*row) for row in session.execute(query)]

    def quarantined(self, author_id: str, origin: str) -> int:
        """How many items of a raw asset could not be read."""
        query = (
            sa.select(sa.func.count())
            .select_from(quarantine.join(source, source.c.id == quarantine.c.source_id))
            .where(quarantine.c.author == author_id, source.c.origin == origin)
        )
        with self.engine.connect() as session:
            return session.scalar(query) or 0

    def readings(self) -> list[Reading]:
        """Every source that was ever read or imported, the oldest first."""
        columns = source.c
        query = sa.select(
            columns.author,
            columns.kind,
            columns.location,
            columns.remembered,
            columns.read_at,
            columns.counts,
            columns.failure,
            columns.failed_at,
        ).order_by(columns.added_at, columns.id)
        with self.engine.connect() as session:
            return [Reading(**row) for row in session.execute(query).mappings()]

    def unreadable(self) -> list[dict[str, Any]]:
        """What is in quarantine, each item with its reason and remedy."""
        query = sa.select(quarantine).order_by(quarantine.c.author, quarantine.c.item)
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(query).mappings()]
