"""Pages of a listing, the newest first: the place where the next one goes on stays right while rows come and go."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import sqlalchemy as sa

from twin_resources.database.shards import Row
from twin_resources.errors import TwinError

CURSOR = r"^[0-9]{1,17}~[0-9A-Za-z_.-]{1,80}$"
MOST = 200

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")


class CursorError(TwinError):
    """What was given as a cursor is none."""


@dataclass(frozen=True)
class Place:
    """Behind which row a page begins: its time and its id."""

    at: datetime
    id: str

    @classmethod
    def of(cls, cursor: str) -> Place:
        """The place that a cursor names.

        Raises:
            CursorError: it is none.
        """
        if not re.fullmatch(CURSOR, cursor):
            raise CursorError("cursor: send the `next` of the page before, or leave it out")
        moment, _, key = cursor.partition("~")
        return cls(_YEAR_ONE + int(moment) * _MICROSECOND, key)

    @property
    def cursor(self) -> str:
        """As a client sends it."""
        return f"{(self.at - _YEAR_ONE) // _MICROSECOND}~{self.id}"


@dataclass(frozen=True)
class Paging:
    """Which page: at most ``limit`` rows behind ``after``."""

    limit: int = 50
    after: Place | None = None

    def of(self, query: sa.Select, at: sa.ColumnElement[datetime], key: sa.ColumnElement[str]) -> sa.Select:
        """The rows of the page and one more, the newest first."""
        if self.after is not None:
            moment = sa.cast(sa.literal(self.after.at), sa.DateTime(timezone=True))
            query = query.where(sa.tuple_(at, key) < sa.tuple_(moment, sa.literal(self.after.id)))
        return query.order_by(at.desc(), key.desc()).limit(self.limit + 1)

    def cut(self, found: Sequence[T], place: Callable[[T], Place]) -> Part[T]:
        """The page of what :meth:`of` found."""
        shown = found[: self.limit]
        return Part(shown, place(shown[-1]).cursor if len(found) > self.limit else None)

    def merge(
        self, parts: Sequence[tuple[Part[Row], Callable[[str], bool]]], place: Callable[[Row], Place]
    ) -> Part[Row]:
        """One page of the same pages of several databases.

        Args:
            parts: each with of which authors it counts, as :func:`~twin_resources.database.shards.of_each` gives them.
        """

        def order(each: Row) -> tuple[datetime, str]:
            return place(each).at, place(each).id

        ends = [order(part.items[-1]) for part, _ in parts if part.next]
        seen_to = max(ends) if ends else None  # behind it one of the databases may have more
        rows = [each for part, counts in parts for each in part.items if counts(each.author)]
        rows = [each for each in sorted(rows, key=order, reverse=True) if seen_to is None or order(each) >= seen_to]
        shown = rows[: self.limit]
        if len(rows) > self.limit:
            return Part(shown, place(shown[-1]).cursor)
        return Part(shown, Place(*seen_to).cursor if seen_to else None)


@dataclass(frozen=True)
class Part(Generic[T]):
    """A page, and the cursor of the next one; None at the end."""

    items: Sequence[T]
    next: str | None
