"""What a candidate and the champion answer to questions that readers asked, kept beside the calls and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from twin_resources.database.schema import interaction, shadow_answer
from twin_resources.storage.calls.interactions import ASKED
from twin_resources.text.pii import storable


@dataclass(frozen=True)
class Logged:
    """A question that a model answered, as it stands alone; ``mode`` is that of the answer, and ``conversation`` the
    one it was a turn of, or its own trace."""

    trace_id: str
    question: str
    mode: str
    conversation: str


@dataclass(frozen=True)
class Shadow:
    """What a version answers to the question of a call, and what ``beside``, which spoke then, does."""

    trace_id: str
    question: str
    answer: str
    beside: str
    answer_beside: str


_LOGGED = sa.select(
    interaction.c.id,
    ASKED,
    interaction.c.mode,
    sa.func.coalesce(interaction.c.conversation, interaction.c.id),
)


class Shadows:
    """Reads questions from the table ``interaction``, and reads and writes ``shadow_answer``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def questions(self, author_id: str, limit: int) -> Sequence[Logged]:
        """The newest questions that a model answered, each once, the newest first."""
        wanted = (
            interaction.c.author == author_id,
            interaction.c.error.is_(None),
            interaction.c.mode.in_(("write", "generate")),
            interaction.c.answer.is_not(None),
        )
        once = sa.select(interaction.c.id).ext(distinct_on(ASKED)).where(*wanted)
        newest = once.order_by(ASKED, interaction.c.at.desc(), interaction.c.id).subquery()
        query = _LOGGED.where(interaction.c.id.in_(sa.select(newest.c.id))).limit(limit)
        return self._found(query.order_by(interaction.c.at.desc(), interaction.c.id))

    def of_calls(self, trace_ids: Sequence[str]) -> Sequence[Logged]:
        """The questions of some calls, of those that are still kept."""
        return self._found(_LOGGED.where(interaction.c.id.in_(trace_ids)).order_by(interaction.c.id))

    def _found(self, query: sa.Select) -> Sequence[Logged]:
        with self.engine.connect() as session:
            return [Logged(*row) for row in session.execute(query)]

    def keep(self, author_id: str, version: str, answers: Sequence[Shadow]) -> None:
        """Keep what a version answers, personal data left out; nothing for a call that has gone in the meantime."""
        with self.engine.begin() as session:
            for each in answers:
                values = {
                    "trace_id": each.trace_id,
                    "version": version,
                    "author": author_id,
                    "answer": storable(each.answer),
                    "beside": each.beside,
                    "answer_beside": storable(each.answer_beside),
                }
                row = sa.select(*(sa.literal(value, sa.Text) for value in values.values()))
                there = row.where(sa.exists().where(interaction.c.id == each.trace_id))
                statement = insert(shadow_answer).from_select([*values], there)
                newer = {name: statement.excluded[name] for name in ("answer", "beside", "answer_beside")}
                session.execute(
                    statement.on_conflict_do_update(
                        index_elements=["trace_id", "version"], set_={**newer, "at": sa.func.now()}
                    )
                )

    def of(self, author_id: str, version: str, limit: int) -> Sequence[Shadow]:
        """What a version answers to the newest of the questions it was asked, of those that are still kept."""
        query = (
            sa.select(
                shadow_answer.c.trace_id, ASKED, shadow_answer.c.answer, shadow_answer.c.beside,
                shadow_answer.c.answer_beside,
            )
            .join(interaction, interaction.c.id == shadow_answer.c.trace_id)
            .where(shadow_answer.c.author == author_id, shadow_answer.c.version == version)
            .order_by(interaction.c.at.desc(), interaction.c.id)
            .limit(limit)
        )  # fmt: skip
        with self.engine.connect() as session:
            return [Shadow(*row) for row in session.execute(query)]
