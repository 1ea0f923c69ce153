"""What was asked and answered, and what people thought of it.

E-mail addresses and credentials are taken out before anything is stored, in questions as in answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from twin_resources.database.rows import Streamed
from twin_resources.database.schema import feedback, interaction
from twin_resources.errors import TwinError
from twin_resources.storage.releases import Canary
from twin_resources.text.pii import storable

Rating = Literal["up", "down"]


class InteractionError(TwinError):
    """No interaction of this trace is stored."""


@dataclass(frozen=True)
class Interaction:
    """One call as it was stored, with the newest ``rating``, ``comment`` and ``correction`` of it.

    ``version`` is the adapter that answered, None for the base; ``timings_ms`` are milliseconds by step. What became of
    it stands in ``mode``, ``abstained``, ``support`` and ``found``, as :class:`Outcome` says, and what a reader got of
    it in ``shown``, as :class:`Shown` does. ``draw`` is where its conversation fell when the share of a canary was
    drawn, None where nothing was.
    """

    id: str
    author: str
    call: str
    query: str
    prompt: str | None
    answer: str | None
    version: str | None
    base: str | None
    citations: Sequence[Mapping[str, Any]]
    usage: Mapping[str, Any]
    timings_ms: Mapping[str, float]
    error: str | None
    at: datetime
    rating: str | None
    comment: str | None
    correction: str | None
    mode: str | None = None
    abstained: bool | None = None
    support: float | None = None
    found: int | None = None
    conversation: str | None = None
    shown: Mapping[str, Any] | None = None
    draw: float | None = None

    @property
    def asked(self) -> str:
        """The question as it stands alone: one that leaned on the turns before it, with what it leaned on."""
        sought = (self.shown or {}).get("searched_for") or ""
        return sought if sought.endswith(self.query) else self.query


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Attributes:
        mode: quote, generate or write; None of a search.
        abstained: whether the twin said that nothing was written; None where there is no answer.
        support: share of the answer's sentences that a passage supports, in [0, 1].
        found: how many passages were found; None where none were sought.
    """

    mode: str | None = None
    abstained: bool | None = None
    support: float | None = None
    found: int | None = None


NO_OUTCOME = Outcome()


@dataclass(frozen=True)
class Shown:
    """What a reader got of an answer beside its words and citations, so that it can be shown again as it was.

    Attributes:
        because: why it was given in its mode.
        finish_reason: stop, length or cancelled.
        searched_for: the question as it was put to search; None where nothing was searched.
        reranker: the model that ordered the passages.
        sentences: each with ``text``, ``support``, ``supported`` and ``markers``.
        nearest: documents that come near a question nobody wrote about, with ``document_id``, ``title`` and ``url``.
    """

    because: str
    finish_reason: str
    searched_for: str | None = None
    reranker: str | None = None
    sentences: Sequence[Mapping[str, Any]] = ()
    nearest: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Traffic:
    """How calls went: how many, how many failed, how the newest ratings of them stand, and within how many
    milliseconds 95% of those that did not fail ended."""

    interactions: int
    errors: int
    up: int
    down: int
    p95_ms: float


RATED = (
    sa.select(feedback)
    .ext(distinct_on(feedback.c.trace_id))
    .order_by(feedback.c.trace_id, feedback.c.id.desc())
    .subquery()
)
"""The newest rating of each call."""
_SOUGHT = interaction.c.shown["searched_for"].astext
ASKED = sa.case(
    (sa.func.right(_SOUGHT, sa.func.length(interaction.c.query)) == interaction.c.query, _SOUGHT),
    else_=interaction.c.query,
)
"""What :attr:`Interaction.asked` is."""
_NEWEST_FIRST = (
    sa.select(*interaction.c, RATED.c.rating, RATED.c.comment, RATED.c.correction)
    .join(RATED, RATED.c.trace_id == interaction.c.id, isouter=True)
    .order_by(interaction.c.at.desc(), interaction.c.id)
)


def _interaction(row: sa.RowMapping) -> Interaction:
    return Interaction(**row)


def _since(author: str, since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return interaction.c.author == author, interaction.c.at >= since


def trace_id() -> str:
    """A new id: of one request, its log lines, its answer and the feedback on it."""
    return uuid.uuid4().hex


class Interactions:
    """Reads and writes the tables ``interaction`` and ``feedback``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def record(
        self,
        trace_id: str,
        *,
        author: str,
        call: str,
        query: str,
        prompt: str | None = None,
        answer: str | None = None,
        version: str | None = None,
        base: str | None = None,
        citations: Sequence[Mapping[str, Any]] = (),
        usage: Mapping[str, Any] | None = None,
        timings_ms: Mapping[str, float] | None = None,
        error: str | None = None,
        outcome: Outcome = NO_OUTCOME,
        conversation: str | None = None,
        shown: Shown | None = None,
        draw: float | None = None,
    ) -> None:
        """Store one call.

        Args:
            call: ``search``, ``ask`` or ``chat``.
            prompt: the messages the model was given, passages included.
            version: the adapter that answered, None for the base.
            citations: the passages the call rests on, each with its ``chunk_id``; ``cited`` tells those the answer
                names from those it was only given.
            conversation: which one it is a turn of, None outside of one.
            shown: what the reader gets besides; None where there is no answer.
            draw: where the conversation fell in [0, 1) beside the share of a canary; None where nothing was drawn.
        """
        with self.engine.begin() as session:
            session.execute(
                sa.insert(interaction).values(
                    id=trace_id,
                    author=author,
                    call=call,
                    query=_clean(query),
                    prompt=_clean(prompt),
                    answer=_clean(answer),
                    version=version,
                    base=base,
                    citations=[dict(citation) for citation in citations],
                    usage=dict(usage or {}),
                    timings_ms=dict(timings_ms or {}),
                    error=_clean(error),
                    conversation=conversation,
                    shown=asdict(_scrubbed(shown)) if shown else None,
                    draw=draw,
                    **asdict(outcome),
                )
            )

    def feedback(self, trace_id: str, rating: Rating, comment: str | None = None, correction: str | None = None) -> str:
        """Store a rating of an answer, with what the author would rather have said; returns whose twin answered.

        Raises:
            InteractionError: no answer of this trace is stored.
        """
        with self.engine.begin() as session:
            author = session.scalar(sa.select(interaction.c.author).where(interaction.c.id == trace_id))
            if author is None:
                raise InteractionError(f"no answer has the trace {trace_id}; send the `trace_id` of an answer")
            session.execute(
                sa.insert(feedback).values(
                    trace_id=trace_id, rating=rating, comment=_clean(comment), correction=_clean(correction)
                )
            )
        return author

    def traffic(self, author: str, since: datetime) -> Traffic:
        """Sum up the calls since a moment, without reading one of them."""
        failed = interaction.c.error.is_not(None)
        total = sa.cast(interaction.c.timings_ms["total"].astext, sa.Float)
        count = sa.func.count()
        query = (
            sa.select(
                count.label("interactions"),
                count.filter(failed).label("errors"),
                count.filter(RATED.c.rating == "up").label("up"),
                count.filter(RATED.c.rating == "down").label("down"),
                sa.func.coalesce(
                    sa.func.percentile_disc(0.95).within_group(total).filter(~failed), sa.literal(0.0)
                ).label("p95_ms"),
            )
            .select_from(interaction.outerjoin(RATED, RATED.c.trace_id == interaction.c.id))
            .where(*_since(author, since))
        )
        with self.engine.connect() as session:
            return Traffic(**session.execute(query).mappings().one())

    def ratings(self, author: str, since: datetime, champion: str | None, canary: Canary | None) -> tuple[int, int]:
        """The newest ratings of a champion's calls since a moment, up and down: of what it wrote, and of what no
        adapter did, such as quotes; not of conversations that were drawn for a canary beside it.

        Args:
            champion: the version that speaks, None for the base.
        """
        own = sa.or_(interaction.c.version == champion, interaction.c.version.is_(None))
        wanted = [*_since(author, since), own if champion else interaction.c.version.is_(None)]
        if canary is not None:
            drawn = sa.and_(interaction.c.at >= canary.since, interaction.c.draw < canary.share)
            wanted.append(sa.func.coalesce(~drawn, sa.true()))
        rated = [sa.func.count().filter(RATED.c.rating == way) for way in ("up", "down")]
        joined = interaction.join(RATED, RATED.c.trace_id == interaction.c.id)
        with self.engine.connect() as session:
            counts = session.execute(sa.select(*rated).select_from(joined).where(*wanted)).one()
        return counts[0], counts[1]

    def corrections(self, author: str) -> Iterable[Interaction]:
        """Stream the answers that somebody corrected, the newest first."""
        wanted = (interaction.c.author == author, RATED.c.correction.is_not(None), RATED.c.correction != "")
        return Streamed(self.engine, _NEWEST_FIRST.where(*wanted), _interaction)

    def praised(self, author: str, limit: int) -> list[Interaction]:
        """The newest answers that somebody rated up and that name what they rest on."""
        cites = interaction.c.citations.contains([{"cited": True}])
        wanted = (interaction.c.author == author, interaction.c.error.is_(None), RATED.c.rating == "up", cites)
        return list(Streamed(self.engine, _NEWEST_FIRST.where(*wanted).limit(limit), _interaction))

    def corrected(self, author: str) -> list[int]:
        """Ids of the feedback that corrects an answer of this author, in order."""
        query = (
            sa.select(feedback.c.id)
            .join(interaction, interaction.c.id == feedback.c.trace_id)
            .where(interaction.c.author == author, feedback.c.correction.is_not(None))
        )
        with self.engine.connect() as session:
            return list(session.scalars(query.order_by(feedback.c.id)))

    def purge(self, older_than_days: int) -> int:
        """Delete calls once they are older, with what was said of them; returns how many went."""
        old = interaction.c.at < sa.func.now() - timedelta(days=older_than_days)
        with self.engine.begin() as session:
            return session.execute(sa.delete(interaction).where(old)).rowcount


def _scrubbed(shown: Shown) -> Shown:
    sentences = [{**each, "text": storable(each["text"])} for each in shown.sentences]
    return replace(shown, searched_for=_clean(shown.searched_for), sentences=sentences)


def _clean(text: str | None) -> str | None:
    return None if text is None else storable(text)
