"""How an author's twin does: volume, latency, silence, what was asked in vain, and what is wrong."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import Out


class _Row(Out):
    model_config = ConfigDict(from_attributes=True)


class TotalsOut(_Row):
    """Counts of the span; shares are in [0, 1], null where there is nothing to take a share of."""

    calls: int = Field(description="questions and searches, those that failed included")
    failed: int
    questions: int
    silent: int = Field(description="answers that said that nothing was written")
    judged: int = Field(description="answers of which that is known")
    silence: float | None = Field(description="`silent` of `judged`")
    support: float | None = Field(description="mean share of supported sentences, over answers that say something")
    retrievals: int = Field(description="searches for passages")
    empty: int = Field(description="those of them that found none")
    up: int
    down: int
    p50_ms: float
    p95_ms: float


class DayOut(_Row):
    """One day, in UTC."""

    day: date
    answered: int
    silent: int
    failed: int
    searches: int


class LatencyOut(_Row):
    """Within how many milliseconds half and 95% of the calls of a mode ended."""

    mode: str = Field(description="quote, generate, write or search")
    calls: int
    p50_ms: float
    p95_ms: float


class SpeakerOut(_Row):
    """Who answered: the version of an adapter, `base`, or `quote` for the author's own sentences."""

    version: str
    answers: int
    last_at: datetime


class DriftOut(_Row):
    """How far the questions are from those of the span before: `divergence` in bits, from 0 to 1, and how likely chance
    alone makes as much. `words` are those that are asked more than chance would have it."""

    divergence: float
    chance: float
    drifted: bool
    words: list[str]
    questions: int
    before: int


class GapOut(_Row):
    """What was asked and is not covered, with other wordings of it; `silent` of the `times` nothing was said, and the
    other times an answer that little supports."""

    question: str
    times: int
    silent: int
    last_at: datetime
    trace_id: str
    wordings: list[str]


class AlertOut(_Row):
    """What is wrong; `author` is null where it concerns all."""

    id: int
    author: str | None
    rule: str
    text: str
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class MonitoringOut(Out):
    """How the twin of an author did over some days; `drift` is null with too few questions to compare."""

    author: str
    days: int
    since: datetime
    until: datetime
    totals: TotalsOut
    by_day: list[DayOut]
    latency: list[LatencyOut]
    speakers: list[SpeakerOut]
    drift: DriftOut | None
    gaps: list[GapOut] | None = Field(description="the most frequent first; null while the embedding model loads")
    alarms: list[str] = Field(description="limits of `monitoring` in twin.yaml that the span exceeds")
    alerts: list[AlertOut] = Field(description="what is wrong at the moment")
