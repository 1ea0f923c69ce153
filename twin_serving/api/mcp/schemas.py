"""What tools take and give where that differs from the calls of the API: a reader with a small context."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin_serving.api.schemas.answers import Citation, Model, NearestOut
from twin_serving.api.schemas.base import WHOLE, AuthorId, In, Out, Text
from twin_serving.api.schemas.documents import DocumentOut

MAX_PART = 100_000


class ReadIn(In):
    """Part of a document; ``offset`` and ``length`` count characters."""

    document_id: Text = Field(max_length=200, description="as `search` and `ask` name it")
    author: AuthorId | None = Field(None, description="whose document it is; else any author's that the key may read")
    offset: Annotated[int, Field(ge=0, lt=2**31), WHOLE] = 0
    length: Annotated[int, Field(ge=1, le=MAX_PART), WHOLE] = 20_000


class PartOut(DocumentOut):
    """Part of a document: ``text`` begins at ``offset``; ``next_offset`` is null at the end."""

    offset: int
    total: int = Field(description="characters of the whole document")
    next_offset: int | None


class AnswerOut(Out):
    """An answer. ``support`` is the share of its sentences that a passage supports; with ``abstained`` the author has
    written nothing about it, and ``nearest`` names what comes near. Markers in the answer stand for ``citations``."""

    answer: str
    mode: Literal["quote", "generate", "write"]
    because: str
    abstained: bool
    support: float | None
    citations: list[Citation]
    nearest: list[NearestOut]
    model: Model
    trace_id: str
    conversation_id: str = Field(description="to be sent with a question that leans on this answer")
