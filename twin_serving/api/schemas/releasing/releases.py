"""Adapter versions, who decides on them, and the authors they belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from twin_serving.api.schemas.base import NOT_BLANK, AuthorId, In, Out, Text, check_storable, not_blank
from twin_serving.api.schemas.releasing.blind_tests import BlindResultOut

Reason = Annotated[
    str,
    Field(max_length=4_000, json_schema_extra={"pattern": NOT_BLANK}),
    AfterValidator(not_blank),
    AfterValidator(check_storable),
]


class DecisionOut(Out):
    """What somebody decided on a version, and why."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    action: str = Field(description="approve, reject, rollback or canary")
    version: str
    by: str
    comment: str
    share: float | None = Field(description="of conversations that a canary was given; null for the others")


class ReleaseOut(Out):
    """An adapter version; ``serving`` says whether it answers now, ``decision`` what was decided on it last, and
    ``share`` which share of the conversations it is to answer on canary, null where it is on none; ``problem`` says
    what keeps it from that."""

    version: str
    author: str
    kind: str
    base: str
    artifact: str
    dataset_id: str
    metrics: dict[str, Any]
    gate: dict[str, Any]
    created_at: datetime
    aliases: list[str]
    retired_because: str | None
    passed: bool
    serving: bool
    share: float | None
    problem: str | None
    decision: DecisionOut | None


class ReleasesOut(Out):
    """One page of versions, the newest first."""

    releases: list[ReleaseOut]
    next: str | None = Field(description="send it as `cursor`; null at the end")


class ReportOut(Out):
    """Figures that were measured of a version: ``generation``, ``style``, ``answers`` or ``shadow``; ``plots`` are
    names of images at `/releases/{version}/plots/{kind}/{name}`."""

    kind: str
    created_at: datetime
    metrics: dict[str, Any]
    plots: list[str]


class CanaryFigureOut(Out):
    """In how many conversations of either side one thing went wrong, and at most how likely that ever comes up where
    the canary is no worse."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="failed, silent, unsupported or down")
    canary: int
    champion: int
    p_value: float


class CanaryOut(Out):
    """How a version on canary stands beside the champion: conversations since then on either side, and in how many of
    them something went wrong. With fewer than ``needed`` on a side nothing is decided."""

    since: datetime
    share: float
    conversations: int
    of_champion: int
    needed: int
    figures: list[CanaryFigureOut]
    worse: str = Field(description="what it is certainly worse in; empty where it is not")


class ShadowOut(Out):
    """A question that a reader asked, and what the version and the one that spoke then answer to it."""

    model_config = ConfigDict(from_attributes=True)

    trace_id: str
    question: str
    answer: str
    beside: str
    answer_beside: str


class ReleaseReportOut(Out):
    """All there is to decide by: the version, what was measured of it, how readers did in blind tests and, while it is
    on canary, with its answers, and what was decided on it and others."""

    release: ReleaseOut
    reports: list[ReportOut]
    blind_test: BlindResultOut
    canary: CanaryOut | None
    shadow: list[ShadowOut] = Field(description="some of readers' questions, answered; as long as the calls are kept")
    history: list[DecisionOut]


class DecisionIn(In):
    """Who decides, and why."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Text = Field("", max_length=4_000)


class RejectIn(In):
    """Who decides, and why; the reason is for whoever trains the next one."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Reason


class CanaryIn(DecisionIn):
    """Who decides, why, and how many conversations it is to answer beside the champion."""

    share: float | None = Field(
        None, gt=0, lt=1, description="of the conversations; without it `release.canary`, or 0.1 where that is 0"
    )


class RollbackIn(DecisionIn):
    """Back to the champion before."""

    author: AuthorId | None = None


class AuthorOut(Out):
    """An author whose twin is served, for the chat page."""

    id: str
    name: str
    champion: str | None
    serving: str | None
    versions: list[dict[str, Any]]


class AuthorsOut(Out):
    """Every configured author."""

    authors: list[AuthorOut]
