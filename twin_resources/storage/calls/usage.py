"""How the calls of a span of time went, summed up by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from twin_resources.database.schema import interaction
from twin_resources.storage.calls.interactions import ASKED, RATED, Traffic

OWN_WORDS, BASE, SEARCH = "quote", "base", "search"
"""Who answered, beside the names of adapters: the author's own sentences, or the base; and the mode of a search."""


@dataclass(frozen=True)
class Span:
    """The calls of one author from ``since`` until before ``until``."""

    author: str
    since: datetime
    until: datetime

    @classmethod
    def of_days(cls, author: str, days: int, *, now: datetime | None = None) -> Span:
        """The last days, today (UTC) included."""
        until = now or datetime.now(UTC)
        start = datetime.combine(until.astimezone(UTC).date(), datetime.min.time(), UTC)
        return cls(author, start - timedelta(days=days - 1), until)

    def before(self) -> Span:
        """The span of the same length before this one."""
        return Span(self.author, self.since - (self.until - self.since), self.since)


@dataclass(frozen=True)
class Totals:
    """Counts of a span.

    Attributes:
        calls: questions and searches, those that failed included.
        silent, judged: answers that said that nothing was written, out of those of which it is known.
        support: mean share of supported sentences over the answers that say something; None without any.
        empty, retrievals: searches for passages that found none, out of all.
        up, down: the newest ratings of calls.
        p50_ms, p95_ms: within which half and 95% of the calls that did not fail ended.
    """

    calls: int
    failed: int
    questions: int
    silent: int
    judged: int
    support: float | None
    empty: int
    retrievals: int
    with_citations: int
    up: int
    down: int
    p50_ms: float
    p95_ms: float

    @property
    def silence(self) -> float | None:
        """Share of the answers that are silent, in [0, 1]; None without any."""
        return round(self.silent / self.judged, 4) if self.judged else None

    @property
    def traffic(self) -> Traffic:
        """What alerts look at."""
        return Traffic(self.calls, self.failed, self.up, self.down, self.p95_ms)


@dataclass(frozen=True)
class Day:
    """One day (UTC): questions that were answered, met with silence or failed, and searches."""

    day: date
    answered: int = 0
    silent: int = 0
    failed: int = 0
    searches: int = 0


@dataclass(frozen=True)
class Latency:
    """Within how many milliseconds half and 95% of the calls of a mode ended; :data:`SEARCH` is one, too."""

    mode: str
    calls: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Speaker:
    """Who answered how often, and when last: an adapter, :data:`BASE` or :data:`OWN_WORDS`."""

    version: str
    answers: int
    last_at: datetime


@dataclass(frozen=True)
class Unanswered:
    """A question that the author's work does not answer: silence, or an answer with little ``support``."""

    trace_id: str
    question: str
    at: datetime
    abstained: bool
    support: float | None


_FAILED = interaction.c.error.is_not(None)
_SEARCH = interaction.c.call == SEARCH
_SILENT = interaction.c.abstained.is_(True)
_TOTAL_MS = sa.cast(interaction.c.timings_ms["total"].astext, sa.Float)
_COUNT = sa.func.count()
_CITED = sa.func.jsonb_array_length(interaction.c.citations) > 0


def _within(share: float) -> sa.ColumnElement[float]:
    return sa.func.coalesce(sa.func.percentile_disc(share).within_group(_TOTAL_MS).filter(~_FAILED), sa.literal(0.0))


def _in(span: Span) -> tuple[sa.ColumnElement[bool], ...]:
    return interaction.c.author == span.author, interaction.c.at >= span.since, interaction.c.at < span.until


class Usage:
    """Reads the tables ``interaction`` and ``feedback``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def totals(self, span: Span) -> Totals:
        """All calls of a span."""
        query = (
            sa.select(
                _COUNT.label("calls"),
                _COUNT.filter(_FAILED).label("failed"),
                _COUNT.filter(~_SEARCH).label("questions"),
                _COUNT.filter(_SILENT).label("silent"),
                _COUNT.filter(interaction.c.abstained.is_not(None)).label("judged"),
                sa.func.avg(interaction.c.support).label("support"),
                _COUNT.filter(interaction.c.found == 0).label("empty"),
                _COUNT.filter(interaction.c.found.is_not(None)).label("retrievals"),
                _COUNT.filter(_CITED, ~_FAILED).label("with_citations"),
                _COUNT.filter(RATED.c.rating == "up").label("up"),
                _COUNT.filter(RATED.c.rating == "down").label("down"),
                _within(0.5).label("p50_ms"),
                _within(0.95).label("p95_ms"),
            )
            .select_from(interaction.outerjoin(RATED, RATED.c.trace_id == interaction.c.id))
            .where(*_in(span))
        )
        with self.engine.connect() as session:
            return Totals(**session.execute(query).mappings().one())

    def by_day(self, span: Span) -> list[Day]:
        """Every day of a span in order, those without a call too."""
        day = sa.cast(sa.func.timezone("UTC", interaction.c.at), sa.Date).label("day")
        asked = sa.and_(~_SEARCH, ~_FAILED)
        query = (
            sa.select(
                day,
                _COUNT.filter(asked, ~sa.func.coalesce(_SILENT, sa.false())).label("answered"),
                _COUNT.filter(asked, _SILENT).label("silent"),
                _COUNT.filter(_FAILED).label("failed"),
                _COUNT.filter(_SEARCH, ~_FAILED).label("searches"),
            )
            .where(*_in(span))
            .group_by(day)
        )
        with self.engine.connect() as session:
            found = {row["day"]: Day(**row) for row in session.execute(query).mappings()}
        first, last = span.since.astimezone(UTC).date(), span.until.astimezone(UTC).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return [found.get(each, Day(each)) for each in days]

    def latency(self, span: Span) -> list[Latency]:
        """Each mode with calls that did not fail, the most frequent first."""
        mode = sa.case((_SEARCH, SEARCH), else_=interaction.c.mode).label("mode")
        query = (
            sa.select(mode, _COUNT, _within(0.5), _within(0.95))
            .where(*_in(span), ~_FAILED, _SEARCH | interaction.c.mode.is_not(None))
            .group_by(mode)
            .order_by(_COUNT.desc(), mode)
        )
        with self.engine.connect() as session:
            return [Latency(*row) for row in session.execute(query)]

    def speakers(self, span: Span) -> list[Speaker]:
        """Who answered, the most frequent first."""
        version = sa.case(
            (interaction.c.mode == OWN_WORDS, OWN_WORDS), else_=sa.func.coalesce(interaction.c.version, BASE)
        ).label("version")
        query = (
            sa.select(version, _COUNT, sa.func.max(interaction.c.at))
            .where(*_in(span), ~_FAILED, ~_SEARCH, ~sa.func.coalesce(_SILENT, sa.false()))
            .group_by(version)
            .order_by(_COUNT.desc(), version)
        )
        with self.engine.connect() as session:
            return [Speaker(*row) for row in session.execute(query)]

    def unanswered(self, span: Span, *, below: float, limit: int) -> list[Unanswered]:
        """The newest questions that were met with silence, or answered with less than ``below`` of it supported
        although passages were sought."""
        weak = sa.and_(interaction.c.support < below, interaction.c.found.is_not(None))
        query = (
            sa.select(interaction.c.id, ASKED, interaction.c.at, interaction.c.abstained, interaction.c.support)
            .where(*_in(span), ~_FAILED, ~_SEARCH, _SILENT | weak)
            .order_by(interaction.c.at.desc(), interaction.c.id)
            .limit(limit)
        )
        with self.engine.connect() as session:
            return [Unanswered(*row) for row in session.execute(query)]

    def questions(self, span: Span, *, limit: int) -> Sequence[str]:
        """The newest questions and queries of a span."""
        query = (
            sa.select(interaction.c.query)
            .where(*_in(span))
            .order_by(interaction.c.at.desc(), interaction.c.id)
            .limit(limit)
        )
        with self.engine.connect() as session:
            return list(session.scalars(query))
