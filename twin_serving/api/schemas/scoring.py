"""How much a draft sounds like its author."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from twin_serving.api.schemas.base import NOT_BLANK, AuthorId, In, Out, check_storable, not_blank

MAX_DRAFT = 200_000


Draft = Annotated[
    str,
    Field(max_length=MAX_DRAFT, json_schema_extra={"pattern": NOT_BLANK}),
    AfterValidator(not_blank),
    AfterValidator(check_storable),
]


class ScoreIn(In):
    """A draft in Markdown or plain text; 50 words of prose are needed."""

    text: Draft
    author: AuthorId | None = None


class VoiceOut(Out):
    """What one verifier says, and what it is worth for this author; ``masked`` where it is blind to the topic."""

    name: str
    masked: bool
    score: float
    auc: float
    c_at_1: float
    f_05_u: float
    counts: bool


class RemarkOut(Out):
    """What the draft has otherwise than its author's documents: nine of ten are between ``low`` and ``high``."""

    habit: str
    draft: float
    usual: float
    low: float
    high: float
    text: str


class HeldOutOut(Out):
    """A document of the author's that the draft stands in; it was held out when the draft was judged."""

    document_id: str
    title: str
    url: str


class VerifierOut(Out):
    """What the score is worth for this author on texts of ``length`` words, against impostors of whom nothing was
    learned; it is not to be relied on unless it ``counts``."""

    counts: bool
    auc: float
    c_at_1: float
    f_05_u: float
    length: int
    voices: list[VoiceOut]
    remarks: list[RemarkOut]
    held_out: list[HeldOutOut]


class NearOut(Out):
    """The author's passage nearest to a sentence."""

    title: str
    url: str
    text: str
    score: float


class ScoredSentenceOut(Out):
    """A sentence, where it stands in the draft, and the score of the ``words`` words around it."""

    text: str
    start: int
    end: int
    words: int
    score: float
    nearest: NearOut | None


class ScoreOut(Out):
    """How likely the author wrote it and not somebody else, the share of the author's own held-out texts that score no
    higher, and where it sounds otherwise."""

    score: float
    percentile: float
    words: int
    verifier: VerifierOut
    sentences: list[ScoredSentenceOut]
