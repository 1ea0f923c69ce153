"""The sections ``training.sample_texts`` and ``training.reciting``: what is looked at while an adapter is trained."""

from __future__ import annotations

from pydantic import Field

from twin_resources.config.section import Section


class SampleTextSettings(Section):
    """What the adapter writes on the way, for people to read."""

    prompts: int = Field(3, ge=0, le=8, description="held-out questions that it answers; 0 for none")
    tokens: int = Field(20, ge=8, le=256, description="of an answer, at most")
    share: float = Field(0.05, gt=0, le=0.5, description="of a training's work that goes there, at most")


class RecitingSettings(Section):
    """Early stopping on n-gram recall: a training ends where the adapter begins to know its texts by heart."""

    stop_above: float | None = Field(
        0.2,
        gt=0,
        le=1,
        description="share of the next n-grams of trained texts that it may recite beyond those of held-out ones and "
        "beyond its start; null never stops",
    )
    texts: int = Field(8, ge=3, le=32, description="of either kind that it goes on with, at most")
    share: float = Field(0.05, gt=0, le=0.5, description="of a training's work that goes there, at most")
