"""The sections ``evaluation`` and ``release`` of ``twin.yaml``: how adapters are measured, and when one may serve."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from twin_resources.config.section import Section


class JudgeSettings(Section):
    """A language model that compares texts with the author's, where ``url`` names one; its key is TWIN_JUDGE_KEY."""

    url: str | None = Field(None, description="a server that speaks OpenAI's chat completions; no other host is asked")
    model: str | None = Field(None, description="the name the server has for it; the first it lists without one")
    prompts: int = Field(8, ge=1, le=200, description="texts that are judged against the base and the champion, each")
    votes: int = Field(40, ge=0, le=1000, description="newest answers of blind readers that it is held against")
    attempts: int = Field(2, ge=1, le=10)
    timeout_seconds: float = Field(60, gt=0, le=600)

    @field_validator("url")
    @classmethod
    def _names_a_server(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("write http://host:port, without a name or password; a key belongs in TWIN_JUDGE_KEY")
        return value or None


class EvaluationSettings(Section):
    """How much is written to be measured; more narrows the intervals, and takes longer."""

    held_out_tokens: int | None = Field(
        6_000, ge=500, description="of prompts and held-out answers whose loss is measured; null for no limit"
    )
    style_documents: int = Field(6, ge=4, le=200, description="held-out documents that models write about")
    rivals: int = Field(4, ge=0, le=64, description="adapters of other authors that are tried on the author's text")
    style_tokens: int = Field(160, ge=96, le=1024, description="of each; 100 words are needed to hear a style well")
    shadow_questions: int = Field(
        0, ge=0, le=500, description="newest questions of readers that a candidate answers beside the champion"
    )
    instructions: int = Field(
        24, ge=0, le=24, description="instructions of which a program tells whether base and candidate follow them"
    )
    judge: JudgeSettings = JudgeSettings()  # pyright: ignore[reportCallIssue]
    style_passages: bool = Field(
        True, description="they write it a second time from passages; no rule of the gate looks at that"
    )


class ReleaseSettings(Section):
    """When a trained adapter may serve."""

    approval: Literal["manual", "auto"] = "manual"
    min_loss_gain: float = Field(0.01, description="held-out loss must fall by this share against the base")
    max_loss_regression: float = Field(0.02, ge=0, description="allowed rise of held-out loss against the champion")
    max_style_loss: float = Field(0.1, ge=0, description="allowed fall of style against the base and the champion")
    max_copied: float = Field(0.3, ge=0, le=1, description="of what it writes, the share that may stand in a document")
    max_memorised: float = Field(
        4.0,
        ge=0,
        description="words in a row that it may recite of texts it was trained on, given their beginnings, beyond what "
        "it recites of held-out ones and beyond the base",
    )
    max_forgotten: float = Field(
        0.1,
        ge=0,
        description="allowed rise of what a byte of general questions and texts costs, a share of what it costs the "
        "base; more is refused where that is certain",
    )
    max_unfollowed: float = Field(
        0.1,
        ge=0,
        le=1,
        description="allowed fall of the share of instructions that it follows against the base; more is refused where "
        "that is certain",
    )
    max_blind_lead: float = Field(
        0.0, ge=0, le=1, description="allowed lead over the champion in how often readers tell it from the author"
    )
    max_shadow_loss: float = Field(
        0.1,
        ge=0,
        le=1,
        description="allowed fall of support and style, and rise of silence, on readers' questions beside the champion",
    )
    min_blind_answers: int = Field(
        0, ge=0, description="with approval: auto, answers of blind readers on it before it takes over"
    )
    canary: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of conversations that a candidate which passed answers beside the champion: with approval: "
        "auto before it takes over, else where a person puts it on canary without naming a share",
    )
    canary_conversations: int = Field(
        50, ge=10, description="with approval: auto, conversations on canary before it takes over, if it is no worse"
    )
