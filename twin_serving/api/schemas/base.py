"""What several calls take: texts that a database can store, and the two kinds of models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from twin_resources.readers.archives import is_storable

MAX_QUERY = 8_000
MAX_TOKENS = 2_048


def check_storable(text: str) -> str:
    """The text, if a database can store it.

    Raises:
        ValueError: it cannot.
    """
    if not is_storable(text):
        raise ValueError("holds a NUL or half of a surrogate pair, which no database can store")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(check_storable)]
Query = Annotated[str, Field(max_length=MAX_QUERY), AfterValidator(_not_blank), AfterValidator(check_storable)]
AuthorId = Annotated[str, Field(max_length=40, description="may be left out where one author is configured")]
Category = Literal["articles", "posts", "code"]


class In(BaseModel):
    """A request body of ours: an unknown member is an error, so a typing mistake shows."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """A response."""


class ProblemOut(Out):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: str
    errors: list[dict[str, Any]] | None = None
