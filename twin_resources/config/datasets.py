"""The section ``datasets`` of ``twin.yaml``: what samples are made, and when a version is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin_resources.config.section import Section

OwnKind = Literal["summarise", "code", "post", "opening", "section", "continuation"]
"""What is made of a passage without a language model, in the order in which kinds take theirs."""
GeneratedKind = Literal["write_about", "explain", "summarise", "code", "continue", "rewrite", "question", "cited"]
"""What a language model may write for a passage; of all but ``question`` and ``cited`` the passage is the answer."""


class GeneratorSettings(Section):
    """What a language model writes for datasets, where ``TWIN_GENERATOR_URL`` names a server."""

    targets: dict[GeneratedKind, Annotated[int, Field(ge=0)]] = Field(
        default={
            "write_about": 60,
            "explain": 60,
            "summarise": 20,
            "code": 30,
            "continue": 30,
            "rewrite": 60,
            "question": 60,
            "cited": 60,
        },
        description="passages asked about by kind, at most; what is not named keeps its default, and 0 is none",
    )
    concurrency: int = Field(4, ge=1, le=64, description="requests at a time")
    attempts: int = Field(5, ge=1, le=10)
    timeout_seconds: float = Field(120, gt=0, le=3600)
    longest_wait_seconds: float = Field(120, ge=0, le=3600, description="between two attempts, whatever is asked for")
    input_price: float | None = Field(None, ge=0, description="per million tokens, in your currency")
    output_price: float | None = Field(None, ge=0, description="per million tokens, in your currency")


RejectedOrigin = Literal["base", "champion", "other"]
"""Who gives the rejected answers: the base model, the author's champion, or the champion of another author."""


class PreferenceSettings(Section):
    """Preference pairs without readers: the author's own text chosen over what a model answers."""

    pairs: int = Field(0, ge=0, le=10_000, description="instructions put to models; 0: only readers make pairs")
    rejected: tuple[RejectedOrigin, ...] = Field(("base", "champion"), min_length=1, description="in turn")
    max_tokens: int = Field(160, ge=16, le=2048, description="of one answer; 160 take 14 s on two cores")


class DatasetSettings(Section):
    """When a dataset version is made, and what divides documents. Whichever of the three is reached first makes one; a
    document that goes makes one at once, and so does a person who asks for it."""

    documents: int = Field(5, ge=1, description="documents with a sample that is new or gone")
    samples: int = Field(50, ge=1, description="samples that are new or gone")
    share: float = Field(0.05, gt=0, le=1, description="their share of all samples")
    split: Literal["hash", "time"] = Field("hash", description="what divides new documents; time: newest test")
    kinds: dict[OwnKind, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={"summarise": 0.1, "code": 0.25},
        description="share of passages that a kind may have, at most; 1 is no limit, as of those not named here",
    )
    conversations: float = Field(0.1, ge=0, le=1, description="share of passages after another that go on from it")
    paraphrases: float = Field(0.1, ge=0, le=1, description="share of training samples repeated in other words")
    generator: GeneratorSettings = GeneratorSettings()  # pyright: ignore[reportCallIssue]
    preference: PreferenceSettings = PreferenceSettings()  # pyright: ignore[reportCallIssue]
