"""Adapter versions, who decides on them, and the authors they belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from twin_serving.api.schemas.base import AuthorId, In, Out, Text


class ReleaseOut(Out):
    """An adapter version; ``serving`` says whether it answers now."""

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


class ReleasesOut(Out):
    """All versions, the newest first."""

    releases: list[ReleaseOut]


class DecisionIn(In):
    """Who decides, and why."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Text = Field("", max_length=4_000)


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
