"""Blind tests: which pair of texts a reader was shown, on which side the author's stood, and what they took for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import blind_test, document

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Showing:
    """One pair as one reader was shown it; ``choice`` is the side that they held for the author's, None before they
    answered."""

    id: str
    version: str
    pair_id: str
    document_id: str
    own_side: Side
    choice: Side | None

    @property
    def right(self) -> bool:
        """Whether the author was found."""
        return self.choice == self.own_side


@dataclass(frozen=True)
class Tally:
    """Answers on a version, and how many of them are right."""

    right: int
    answers: int


_COLUMNS = tuple(blind_test.c[name] for name in Showing.__dataclass_fields__)
_ANSWERED = blind_test.c.choice.is_not(None)
_RIGHT = blind_test.c.choice == blind_test.c.own_side


class BlindTests:
    """Reads and writes the table ``blind_test``. Readers are known by the hash of a token that they keep."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def open(self, author_id: str, version: str, reader: str) -> Sequence[Showing]:
        """What a reader was shown of a version and has not answered, the oldest first."""
        wanted = (*_of(author_id, reader), blind_test.c.version == version, ~_ANSWERED)
        query = sa.select(*_COLUMNS).where(*wanted).order_by(blind_test.c.shown_at, blind_test.c.id)
        with self.engine.connect() as session:
            return [Showing(*row) for row in session.execute(query)]

    def documents(self, author_id: str, reader: str) -> frozenset[str]:
        """The documents of which a reader was shown the author's text, beside whatever version."""
        query = sa.select(blind_test.c.document_id).where(*_of(author_id, reader))
        with self.engine.connect() as session:
            return frozenset(session.scalars(query))

    def show(self, author_id: str, reader: str, showing: Showing) -> bool:
        """Keep that a reader is shown a pair; False where they were shown a pair of its document before, or that has
        gone in the meantime."""
        values = {
            "id": showing.id,
            "author": author_id,
            "reader": reader,
            "version": showing.version,
            "pair_id": showing.pair_id,
            "own_side": showing.own_side,
        }
        row = sa.select(*(sa.literal(each, sa.Text) for each in values.values()), document.c.id).where(
            document.c.id == showing.document_id, document.c.author == author_id
        )
        statement = insert(blind_test).from_select([*values, "document_id"], row).on_conflict_do_nothing()
        with self.engine.begin() as session:
            return session.scalar(statement.returning(blind_test.c.id)) is not None

    def answer(self, author_id: str, reader: str, showing_id: str, choice: Side) -> Showing | None:
        """Keep a reader's first answer to a showing, and give it back; None where they were not shown that."""
        mine = (*_of(author_id, reader), blind_test.c.id == showing_id)
        first = sa.update(blind_test).where(*mine, ~_ANSWERED)
        with self.engine.begin() as session:
            session.execute(first.values(choice=choice, answered_at=sa.func.clock_timestamp()))
            row = session.execute(sa.select(*_COLUMNS).where(*mine)).one_or_none()
            return Showing(*row) if row else None

    def tallies(self, author_id: str) -> Mapping[str, Tally]:
        """How many answers there are on each version that has any, and how many are right."""
        right = sa.func.count().filter(_RIGHT)
        query = sa.select(blind_test.c.version, right, sa.func.count()).where(
            blind_test.c.author == author_id, _ANSWERED
        )
        with self.engine.connect() as session:
            rows = session.execute(query.group_by(blind_test.c.version)).all()
        return {version: Tally(right, answers) for version, right, answers in rows}

    def newest(self, author_id: str, limit: int) -> Sequence[Showing]:
        """The newest answered showings of an author, whatever version they are on."""
        query = sa.select(*_COLUMNS).where(blind_test.c.author == author_id, _ANSWERED)
        with self.engine.connect() as session:
            rows = session.execute(query.order_by(blind_test.c.answered_at.desc(), blind_test.c.id).limit(limit))
            return [Showing(*row) for row in rows]

    def outcomes(self, author_id: str, version: str) -> Sequence[bool]:
        """Whether each answer on a version was right, in their order."""
        query = sa.select(_RIGHT).where(blind_test.c.author == author_id, blind_test.c.version == version, _ANSWERED)
        with self.engine.connect() as session:
            return session.scalars(query.order_by(blind_test.c.answered_at, blind_test.c.id)).all()

    def purge(self, older_than_days: int) -> int:
        """Forget who gave answers that are older, which go on counting, and delete what nobody answered since.

        Returns:
            how many rows that concerned.
        """
        before = sa.func.now() - timedelta(days=older_than_days)
        old = (blind_test.c.answered_at < before, blind_test.c.reader.is_not(None))
        left = (blind_test.c.shown_at < before, ~_ANSWERED)
        with self.engine.begin() as session:
            forgotten = session.execute(sa.update(blind_test).where(*old).values(reader=None)).rowcount
            return forgotten + session.execute(sa.delete(blind_test).where(*left)).rowcount


def _of(author_id: str, reader: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return blind_test.c.author == author_id, blind_test.c.reader == reader
