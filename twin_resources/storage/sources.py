"""Whose work is read, with consent, and from where: authors, sources, what came of the last reading, quarantine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.config.settings import AuthorSettings
from twin_resources.database.engines import sessions_of
from twin_resources.database.schema import author, chunk, clean_document, document, quarantine, source
from twin_resources.sources.base import Quarantined, Source
from twin_resources.text.identity import content_id

LOCATION_GONE = "nothing lies there any more; its documents are kept, and `twin sources --drop` lets them go"
"""The failure of an import whose file was taken away: nothing is wrong with what it gave."""


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

    id: str
    author: str
    kind: str
    location: str
    options: Mapping[str, Any]
    remembered: bool
    read_at: datetime | None
    counts: Mapping[str, Any] | None
    failure: str | None
    failed_at: datetime | None


def lock_author(session: sa.Connection, author_id: str) -> None:
    """Let one author's writers take turns, until the transaction ends."""
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:author))"), {"author": author_id})


def _drop(session: sa.Connection, source_ids: Sequence[str]) -> int:
    theirs = document.c.source_id.in_(source_ids) & document.c.gone_at.is_(None)
    gone = session.execute(sa.update(document).where(theirs).values(gone_at=sa.func.now())).rowcount
    session.execute(sa.delete(source).where(source.c.id.in_(source_ids)))
    return gone


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
        newer = {
            "options": statement.excluded.options,
            "remembered": source.c.remembered | statement.excluded.remembered,
        }
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

    @contextlib.contextmanager
    def turn(self, source_id: str) -> Iterator[None]:
        """Let one reading of a source go on at a time, over all processes; a killed one ends its turn.

        Two readings at once would each take what the other found last for gone.
        """
        key = {"key": f"reading {source_id}"}
        with sessions_of(self.engine).connect() as session:
            session.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), key)
            session.commit()  # the lock is the connection's; an open transaction would keep old rows from being cleared
            try:
                yield
            finally:
                session.execute(sa.text("SELECT pg_advisory_unlock(hashtextextended(:key, 0))"), key)
                session.commit()

    def is_remembered(self, source_id: str) -> bool:
        """Whether ``twin import`` or the API added a source, so that it stays until it is dropped by name."""
        with self.engine.connect() as session:
            return bool(session.scalar(sa.select(source.c.remembered).where(source.c.id == source_id)))

    def holds_documents(self, source_id: str) -> bool:
        """Whether any document is of this source, or was."""
        with self.engine.connect() as session:
            return bool(session.scalar(sa.select(sa.exists().where(document.c.source_id == source_id))))

    def now(self) -> datetime:
        """The time of the database."""
        with self.engine.connect() as session:
            return session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()

    def drop_unnamed(self, author_id: str, origin: str, *, named: Iterable[str], since: datetime) -> int:
        """Drop the sources of a raw asset that were taken out of ``twin.yaml``.

        What ``twin import`` added stays, and so does what was added after ``since``, when ``named`` was read.

        Returns:
            The number of documents that only they provided, and which are gone with them.
        """
        unnamed = (
            source.c.author == author_id,
            source.c.origin == origin,
            source.c.id.not_in(list(named)),
            ~source.c.remembered,
            source.c.added_at < since,
        )
        with self.engine.begin() as session:
            lock_author(session, author_id)
            return _drop(session, session.scalars(sa.select(source.c.id).where(*unnamed)).all())

    def drop(self, author_id: str, source_id: str) -> int:
        """Drop one source; returns how many documents are gone with it."""
        with self.engine.begin() as session:
            lock_author(session, author_id)
            return _drop(session, [source_id])

    def record_failure(self, source_id: str, why: str) -> bool:
        """Record with a source that it cannot be read, and why; the next reading that ends well clears it.

        Returns:
            Whether that is news: the last reading did not fail for this reason.
        """
        since = sa.func.coalesce(source.c.failed_at, sa.func.now())
        with self.engine.begin() as session:
            before = session.scalar(sa.select(source.c.failure).where(source.c.id == source_id).with_for_update())
            session.execute(sa.update(source).where(source.c.id == source_id).values(failed_at=since, failure=why))
        return before != why

    def failing(self, author_id: str, origin: str) -> list[str]:
        """The sources of a raw asset that cannot be read, each with the reason; not those whose file was taken away."""
        query = (
            sa.select(source.c.kind, source.c.location, source.c.failure)
            .where(source.c.author == author_id, source.c.origin == origin, source.c.failure != LOCATION_GONE)
            .order_by(source.c.added_at, source.c.id)
        )
        with self.engine.connect() as session:
            return [
                row.failure if row.location in row.failure else f"{row.kind} {row.location}: {row.failure}"
                for row in session.execute(query)
            ]

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
            columns.id,
            columns.author,
            columns.kind,
            columns.location,
            columns.options,
            columns.remembered,
            columns.read_at,
            columns.counts,
            columns.failure,
            columns.failed_at,
        ).order_by(columns.added_at, columns.id)
        with self.engine.connect() as session:
            return [Reading(**row) for row in session.execute(query).mappings()]

    def reading(self, source_id: str) -> Reading | None:
        """One source with its last reading; None where there is none of this id."""
        return next((each for each in self.readings() if each.id == source_id), None)

    def unreadable(self) -> list[dict[str, Any]]:
        """What is in quarantine, each item with its reason and remedy."""
        query = sa.select(quarantine).order_by(quarantine.c.author, quarantine.c.item)
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(query).mappings()]
