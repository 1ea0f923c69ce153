"""Asking the twin."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from twin_serving.api.schemas.base import MAX_TOKENS, WHOLE, AuthorId, In, Out, Query, Text
from twin_serving.api.schemas.search import FiltersIn


class QuestionIn(In):
    """A question to the twin."""

    query: Query
    author: AuthorId | None = None
    conversation_id: Text | None = Field(
        None,
        max_length=64,
        description="of the answer that this question follows, so that it may lean on what was said there; left out, "
        "another conversation begins",
    )
    k: Annotated[int, Field(ge=1, le=50), WHOLE] = Field(
        6, description="passages to look at; as many as fit the context are used"
    )
    filters: FiltersIn = FiltersIn()
    mode: Literal["auto", "quote", "generate", "write"] = Field(
        "auto",
        description="`quote`: the author's own sentences; `generate`: a model writes from passages, and only what they "
        "support is shown; `write`: the twin writes; `auto`: whichever was measured to be fit",
    )
    use_rag: bool = True
    model: Text | None = Field(
        None, max_length=200, description="`twin/<author>[@version]`, a version, an alias or `base`; else the champion"
    )
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS), WHOLE] = 256
    temperature: float = Field(0.3, ge=0, le=2)
    seed: Annotated[int, Field(ge=0, lt=2**63), WHOLE] | None = None


class AskIn(QuestionIn):
    """A question to the twin, and how its answer comes."""

    sign: bool = Field(False, description="With a signed statement on the answer, which `twin verify` checks offline")
    stream: bool = Field(False, description="Server-sent events: `token` with {text}, then `done` with this response")


class Citation(Out):
    """What a marker in the answer stands for; ``quote`` is verbatim from the document."""

    marker: int
    chunk_id: str
    document_id: str
    title: str
    url: str
    platform: str
    quote: str


class SentenceOut(Out):
    """One sentence, list item or block of code of the answer, and how far the passages support it, in [0, 1].
    ``supported`` says whether a reader may take it for what the author wrote."""

    text: str
    support: float
    supported: bool
    markers: list[int]


class NearestOut(Out):
    """A document that comes near a question on which nothing was written."""

    document_id: str
    title: str
    url: str


class Model(Out):
    """Who answered: ``adapter`` is null for the base, ``version`` is the name to ask for the same one again."""

    base: str
    adapter: str | None
    version: str


class Usage(Out):
    """Tokens of the prompt and of the answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SignedOut(Out):
    """Who answered what, in whose name, with whose consent, from which passages; signed (RFC 8032). What is signed is
    the statement as JSON with sorted keys and without spaces, in UTF-8; signature and key are in base64."""

    statement: dict[str, Any]
    signature: str
    public_key: str
    algorithm: Literal["Ed25519"]


class SigningKeyOut(Out):
    """The public key of this twin, in base64."""

    public_key: str
    algorithm: Literal["Ed25519"] = "Ed25519"


class Answered(Out):
    """What is told of an answer, when it is given and when it is read again."""

    answer: str
    mode: Literal["quote", "generate", "write"]
    because: str
    abstained: bool
    support: float | None
    grounded: bool
    searched_for: str | None = Field(
        description="the question as it was put to search; null where nothing was searched"
    )
    sentences: list[SentenceOut]
    citations: list[Citation]
    nearest: list[NearestOut]
    model: Model
    trace_id: str
    finish_reason: Literal["stop", "length", "cancelled"]
    reranker: str | None
    usage: Usage
    timings_ms: dict[str, float]


class AskOut(Answered):
    """An answer. ``support`` is the share of its sentences that a passage supports, null where it says nothing;
    ``because`` says why it was given in this ``mode``. With ``abstained`` the author has written nothing about it, and
    ``nearest`` names what comes near."""

    conversation_id: str = Field(description="to be sent with the next question, so that it may lean on this one")
    signed: SignedOut | None = None


class GivenOut(Answered):
    """An answer as it was given, with its question. What is personal data was taken out of both."""

    question: str
    author: str
    at: datetime


class ConversationOut(Out):
    """A conversation with one author's twin; ``turns`` come the newest first, those that failed left out."""

    conversation_id: str
    author: str
    turns: list[GivenOut]
    next: str | None = Field(description="`cursor` of the turns before these, null where there are none")


class EndedOut(Out):
    """A conversation that is kept no longer."""

    conversation_id: str
    turns: int = Field(description="how many calls were deleted")
