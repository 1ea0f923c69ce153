"""Samples of a dataset version, and what a person decides on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import AuthorId, In, Out, Text

MAX_ANSWER = 40_000


class ReviewIn(In):
    """What a person decides on a sample; `unreviewed` takes the decision back."""

    author: AuthorId | None = None
    verdict: Literal["accepted", "rejected", "edited", "unreviewed"]
    answer: Annotated[Text, Field(max_length=MAX_ANSWER)] | None = Field(
        None, description="the new text, needed where the verdict is `edited`"
    )


class _Shown(Out):
    model_config = ConfigDict(from_attributes=True)


class FlagOut(_Shown):
    """What a check has against a sample."""

    check: str
    reason: str


class PassageOut(_Shown):
    """A passage that a sample shows; `right` is the one its answer was made of."""

    title: str
    text: str
    right: bool


class TurnOut(_Shown):
    """An earlier turn that a sample goes on from."""

    instruction: str
    answer: str


class DecisionOut(_Shown):
    """What was decided; `answer` is the new text of an edited sample."""

    verdict: Literal["accepted", "rejected", "edited"]
    answer: str | None
    by: str
    at: datetime


class SampleOut(_Shown):
    """A sample beside the passage it was made of."""

    id: str
    split: str
    category: str
    kind: str
    instruction: str
    answer: str
    passages: list[PassageOut]
    document_id: str
    url: str
    source: str = Field(description="text of the passage it was made of")
    flags: list[FlagOut]
    state: Literal["unreviewed", "accepted", "rejected", "edited"]
    review: DecisionOut | None
    reasons: list[str] = Field(description="why its edit is not taken, and the sample is left out; empty where it is")
    waits: bool = Field(description="whether the next dataset version differs from what is shown")
    history: list[TurnOut] = Field(description="the turns it goes on from, the first one first")
    paraphrase_of: str = Field(description="the sample that it repeats in other words; empty where it repeats none")


class ProgressOut(_Shown):
    """How far the review of the newest version is."""

    total: int
    reviewed: int
    states: dict[str, int]
    waiting: int = Field(description="decisions that the next dataset version will hold")


class SamplesOut(Out):
    """One page of samples of the newest dataset version."""

    author: str
    version: str | None = Field(description="null where there is none, or its files are gone")
    created_at: datetime | None
    next_version: str = Field(description="the command that makes one with what was decided")
    progress: ProgressOut
    kinds: dict[str, int]
    checks: dict[str, int] = Field(description="samples that each check has something against")
    matching: int
    samples: list[SampleOut]
    more: bool


class ReviewedOut(Out):
    """The sample as it stands now, and how far the review is."""

    sample: SampleOut
    progress: ProgressOut
