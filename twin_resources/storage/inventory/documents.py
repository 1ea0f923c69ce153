"""Every document of an author, with what became of it: searchable, left out and why, or waiting to be cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from twin_resources.database.schema import chunk, clean_document, document, document_version, quarantine
from twin_resources.storage.inventory.paging import Paging, Part, Place

State = Literal["searchable", "left_out", "waiting"]


@dataclass(frozen=True)
class Listed:
    """A document that is there. ``excluded`` says why it is left out; ``duplicate_of`` is the document it repeats."""

    document_id: str
    title: str
    url: str
    platform: str
    category: str
    source_id: str | None
    published_at: datetime | None
    words: int | None
    state: State
    excluded: str | None
    duplicate_of: str | None
    at: datetime
    """When it was published, or else first seen."""


@dataclass(frozen=True)
class Wanted:
    """Which documents; what is empty holds nothing back. ``text`` stands in the title or the address."""

    text: str = ""
    platform: str = ""
    category: str = ""
    state: str = ""
    source_id: str = ""
    excluded: str = ""


@dataclass(frozen=True)
class Count:
    """How many documents have all this in common."""

    source_id: str | None
    platform: str
    category: str
    state: State
    excluded: str | None
    documents: int


@dataclass(frozen=True)
class Unreadable:
    """An item of a source that could not be read, why, and what to do."""

    id: str
    source_id: str
    item: str
    reason: str
    remedy: str
    seen_at: datetime


_CLEAN = sa.and_(clean_document.c.document_id == document.c.id, clean_document.c.current)
_SERVED = sa.exists().where(chunk.c.document_id == document.c.id, chunk.c.served)
_STATE = sa.case(
    (clean_document.c.excluded.is_not(None), "left_out"),
    (_SERVED, "searchable"),
    else_="waiting",
)
_AT = sa.func.coalesce(clean_document.c.published_at, document_version.c.published_at, document.c.first_seen_at)
_TITLE = sa.func.coalesce(clean_document.c.title, document_version.c.title, document.c.url)
_ROWS = document.outerjoin(clean_document, _CLEAN).outerjoin(
    document_version, document_version.c.id == document.c.version_id
)


def _of(author_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(document.c.author == author_id, document.c.gone_at.is_(None))


class Inventory:
    """Lists documents and quarantine."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def documents(self, author_id: str, wanted: Wanted, paging: Paging) -> Part[Listed]:
        """One page of the documents of an author that are there, the newest first."""
        query = (
            sa.select(
                document.c.id,
                _TITLE,
                document.c.url,
                document.c.platform,
                document.c.category,
                document.c.source_id,
                sa.func.coalesce(clean_document.c.published_at, document_version.c.published_at),
                clean_document.c.words,
                _STATE,
                clean_document.c.excluded,
                clean_document.c.duplicate_of,
                _AT,
            )
            .select_from(_ROWS)
            .where(_of(author_id))
        )
        if wanted.text:
            text = wanted.text
            query = query.where(
                _TITLE.icontains(text, autoescape=True) | document.c.url.icontains(text, autoescape=True)
            )
        for column, value in (
            (document.c.platform, wanted.platform),
            (document.c.category, wanted.category),
            (_STATE, wanted.state),
            (document.c.source_id, wanted.source_id),
            (clean_document.c.excluded, wanted.excluded),
        ):
            if value:
                query = query.where(column == value)
        with self.engine.connect() as session:
            found = [Listed(*row) for row in session.execute(paging.of(query, _AT, document.c.id))]
        return paging.cut(found, lambda each: Place(each.at, each.document_id))

    def counts(self, author_id: str) -> Sequence[Count]:
        """How many documents of an author there are of each source, platform, category, state and reason."""
        columns = (
            document.c.source_id,
            document.c.platform,
            document.c.category,
            _STATE.label("state"),
            clean_document.c.excluded,
        )
        each = sa.select(*columns).select_from(_ROWS).where(_of(author_id)).subquery()
        query = sa.select(*each.c, sa.func.count()).group_by(*each.c).order_by(sa.func.count().desc(), *each.c)
        with self.engine.connect() as session:
            return [Count(*row) for row in session.execute(query)]

    def quarantine(self, author_id: str, paging: Paging) -> Part[Unreadable]:
        """One page of what could not be read, the newest first."""
        columns = (quarantine.c[name] for name in Unreadable.__dataclass_fields__)
        query = sa.select(*columns).where(quarantine.c.author == author_id)
        with self.engine.connect() as session:
            rows = session.execute(paging.of(query, quarantine.c.seen_at, quarantine.c.id))
            found = [Unreadable(*row) for row in rows]
        return paging.cut(found, lambda each: Place(each.seen_at, each.id))

    def quarantined(self, author_id: str) -> int:
        """How many items could not be read."""
        query = sa.select(sa.func.count()).where(quarantine.c.author == author_id)
        with self.engine.connect() as session:
            return session.scalar(query) or 0
