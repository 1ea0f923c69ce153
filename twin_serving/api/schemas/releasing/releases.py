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
    action: str = Field(description="approve, reject or rollback")
    version: str
    by: str
    comment: str


class ReleaseOut(Out):
    """An adapter version; ``serving`` says whether it answers now, ``decision`` what was decided on it last."""

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
    decision: DecisionOut | None


class ReleasesOut(Out):
    """One page of versions, the newest first."""

    releases: list[ReleaseOut]
    next: str | None = Field(description="send it as `cursor`; null at the end")


class ReportOut(Out):
    """Figures that were measured of a version: ``generation``, ``style`` or ``answers``; ``plots`` are names of images
    at `/releases/{version}/plots/{kind}/{name}`."""

    kind: str
    created_at: datetime
    metrics: dict[str, Any]
    plots: list[str]


class ReleaseReportOut(Out):
    """All there is to decide by: the version, what was measured of it, how readers did in blind tests, and what was
    decided on it and others."""

    release: ReleaseOut
    reports: list[ReportOut]
    blind_test: BlindResultOut
    history: list[DecisionOut]


class DecisionIn(In):
    """Who decides, and why."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Text = Field("", max_length=4_000)


class RejectIn(In):
    """Who decides, and why; the reason is for whoever trains the next one."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Reason


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
