"""Answers as they were given, one by one and as the conversations they belong to, for readers to see again.

A conversation is the calls that carry its id. It ends with them: by retention, by forgetting, or when a reader takes it
back. Calls that failed or that nobody waited for are no turns of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import interaction
from twin_resources.errors import TwinError
from twin_resources.storage.calls.interactions import InteractionError, Shown
from twin_resources.storage.inventory.paging import Paging, Part, Place

TURNS = 4
"""Earlier turns that a question goes on from."""
LONGEST = 600
"""Characters of each question and answer of them; what is longer is cut, so that the passages keep their room."""


class UnknownConversation(TwinError):
    """No turn of this conversation is kept."""


@dataclass(frozen=True)
class Given:
    """An answer as a reader got it; ``version`` is the adapter that wrote it, None for the base or for none."""

    trace_id: str
    author: str
    question: str
    answer: str
    mode: str
    abstained: bool
    support: float | None
    version: str | None
    base: str
    citations: Sequence[Mapping[str, Any]]
    usage: Mapping[str, int]
    timings_ms: Mapping[str, float]
    shown: Shown
    at: datetime

    @property
    def place(self) -> Place:
        """Where it stands in a listing."""
        return Place(self.at, self.trace_id)


@dataclass(frozen=True)
class Conversation:
    """A conversation with one author's twin, and a page of its turns, the newest first."""

    author: str
    turns: Part[Given]


def conversation_id() -> str:
    """A new id; 128 random bits, since whoever knows it may read the conversation."""
    return secrets.token_urlsafe(16)


_GIVEN = sa.and_(interaction.c.error.is_(None), interaction.c.shown.is_not(None))
_ANSWERS = sa.select(
    interaction.c.id.label("trace_id"),
    interaction.c.author,
    interaction.c.query.label("question"),
    interaction.c.answer,
    interaction.c.mode,
    interaction.c.abstained,
    interaction.c.support,
    interaction.c.version,
    interaction.c.base,
    interaction.c.citations,
    interaction.c.usage,
    interaction.c.timings_ms,
    interaction.c.shown,
    interaction.c.at,
).where(_GIVEN)


def _given(row: sa.RowMapping) -> Given:
    cited = [each for each in row["citations"] if each["cited"]]
    return Given(**{**row, "citations": cited, "shown": Shown(**row["shown"])})


class Conversations:
    """Reads conversations and their answers from the table ``interaction``, and ends them."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def history(self, conversation: str, author: str) -> list[tuple[str, str]]:
        """What was asked and answered last, the oldest first: at most :data:`TURNS`, each text cut at
        :data:`LONGEST`.

        Raises:
            UnknownConversation: there is no such conversation with this author.
        """
        query = (
            sa.select(sa.func.left(interaction.c.query, LONGEST), sa.func.left(interaction.c.answer, LONGEST))
            .where(interaction.c.conversation == conversation, interaction.c.author == author, _GIVEN)
            .order_by(interaction.c.at.desc(), interaction.c.id.desc())
            .limit(TURNS)
        )
        with self.engine.connect() as session:
            found = [(question, answer) for question, answer in session.execute(query)]
        if not found:
            raise _unknown()
        return found[::-1]

    def read(self, conversation: str, paging: Paging) -> Conversation:
        """A page of the turns of a conversation.

        Raises:
            UnknownConversation: none is kept.
        """
        mine = interaction.c.conversation == conversation
        turns = paging.of(_ANSWERS.where(mine), interaction.c.at, interaction.c.id)
        with self.engine.connect() as session:
            author = session.scalar(sa.select(interaction.c.author).where(mine, _GIVEN).limit(1))
            if author is None:
                raise _unknown()
            found = [_given(row) for row in session.execute(turns).mappings()]
        return Conversation(author, paging.cut(found, lambda turn: turn.place))

    def answer(self, trace_id: str) -> Given:
        """One answer.

        Raises:
            InteractionError: no answer of this trace is stored that could be shown again.
        """
        with self.engine.connect() as session:
            row = session.execute(_ANSWERS.where(interaction.c.id == trace_id)).mappings().one_or_none()
        if row is None:
            raise InteractionError(f"no answer has the trace {trace_id}, or it is no longer kept")
        return _given(row)

    def end(self, conversation: str) -> Sequence[str]:
        """Delete every call of a conversation, with what was said of them; returns their traces.

        Raises:
            UnknownConversation: there is none.
        """
        mine = interaction.c.conversation == conversation
        with self.engine.begin() as session:
            ended = session.scalars(sa.delete(interaction).where(mine).returning(interaction.c.id)).all()
        if not ended:
            raise _unknown()
        return ended


def _unknown() -> UnknownConversation:
    return UnknownConversation(
        "There is no such conversation with this author, or it is no longer kept; leave `conversation_id` out to begin "
        "another."
    )
