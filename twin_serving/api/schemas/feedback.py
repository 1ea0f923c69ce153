"""What readers think of answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twin_serving.api.schemas.base import In, Out, Text


class FeedbackIn(In):
    """What a reader thinks of an answer."""

    trace_id: Text = Field(min_length=8, max_length=64)
    rating: Literal["up", "down"]
    comment: Text | None = Field(None, max_length=4_000)
    correction: Text | None = Field(None, max_length=20_000, description="what the author would have said")


class FeedbackOut(Out):
    """The rating is stored."""

    trace_id: str
    accepted: bool = True
