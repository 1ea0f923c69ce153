"""Trainings side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import Out


class SpanOut(Out):
    """A figure with its 95% interval, where one was measured."""

    model_config = ConfigDict(from_attributes=True)

    value: float
    low: float | None
    high: float | None


class PointOut(Out):
    """Where a curve stands at a step, in nats a token."""

    model_config = ConfigDict(from_attributes=True)

    step: int
    loss: float | None
    validation_loss: float | None


class SampleTextOut(Out):
    """What the adapter answered to a held-out question at the end, and how its author's own answer begins."""

    model_config = ConfigDict(from_attributes=True)

    question: str
    text: str
    own: str


class ExperimentOut(Out):
    """One training and what was measured of its adapter; null is what was not measured."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    author: str
    kind: str = Field(description="sft or dpo")
    base: str
    created_at: datetime
    aliases: list[str]
    retired_because: str | None
    dataset_id: str
    dataset_made_at: datetime
    dataset_samples: int | None
    parameters: dict[str, Any]
    origin: str | None = Field(description="where hyper-parameters come from")
    code: str | None
    backend: str | None = Field(description="the library that trained")
    hardware: str | None
    processes: int | None
    seconds: float | None
    cost: float | None
    currency: str | None
    stopped: str | None = Field(description="why it was stopped early by what it recited")
    curve: list[PointOut]
    validation_loss: float | None
    held_out_loss: float | None
    gain: SpanOut | None = Field(description="how far its held-out loss lies below the base's, as a share")
    style: SpanOut | None = Field(description="0 is other people's writing, 1 the author's own")
    support: SpanOut | None = Field(description="share of sentences with support that it writes from passages")
    memorised: SpanOut | None = Field(description="words recited of trained texts beyond base and held-out ones")
    texts: list[SampleTextOut]
    passed: bool | None = Field(description="whether the gate let it through")
    failed: list[str]


class DifferenceOut(Out):
    """Something that trainings were made with and that differs between them: the value in each, in their order."""

    name: str
    values: list[Any]


class ExperimentsOut(Out):
    """Trainings of one author, the newest first or in the order they were named in, and in what they differ."""

    experiments: list[ExperimentOut]
    differences: list[DifferenceOut]
    next: str | None = Field(description="send it as `cursor`; null at the end")
