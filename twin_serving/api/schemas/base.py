"""What several calls take: texts that a database can store, and the two kinds of models."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from twin_resources.readers.archives import is_storable
from twin_resources.text.dates import parse_utc

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


def has_ink(text: str) -> bool:
    """Whether a text says anything: blanks and control characters do not."""
    return _INK.search(text) is not None


def not_blank(text: str) -> str:
    """The text, if it says anything.

    Raises:
        ValueError: it is blank.
    """
    if not has_ink(text):
        raise ValueError("must not be empty")
    return text


def _whole(value: Any) -> Any:
    """JSON knows one kind of number, so 5.0 is the whole number 5; ``true`` and ``"5"`` are none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(value: Any) -> datetime | None:
    """ISO 8601 as a moment with a zone; years at the edge of what a zone can move are refused."""
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value.strip()):
        raise ValueError("must be a date as 2026-03-01 or 2026-03-01T12:00:00Z")
    return parse_utc(value)


STORABLE = r"^[^\u0000]*$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000-\u001f\u007f-\u00a0\ufeff][^\u0000]*$"
"""Patterns as the OpenAPI document tells them; the document's dialect has no word for half of a surrogate pair."""

_INK = re.compile(r"[^\s\x00-\x1f\x7f-\xa0\ufeff]")

Text = Annotated[str, Field(json_schema_extra={"pattern": STORABLE}), AfterValidator(check_storable)]
Query = Annotated[
    str,
    Field(max_length=MAX_QUERY, json_schema_extra={"pattern": NOT_BLANK}),
    AfterValidator(not_blank),
    AfterValidator(check_storable),
]
Moment = Annotated[
    datetime,
    Field(
        strict=False,
        json_schema_extra={"format": "date-time", "description": "RFC 3339; a date alone means its day, in UTC"},
    ),
    BeforeValidator(_moment),
]
WHOLE = BeforeValidator(_whole)
"""Comes last among the annotations of a whole number, so that its limits reach the document."""

AuthorId = Annotated[str, Field(max_length=40, description="may be left out where one author is configured")]
Category = Literal["articles", "posts", "code"]


class In(BaseModel):
    """A request body of ours: an unknown member is an error, so a typing mistake shows."""

    model_config = ConfigDict(extra="forbid", strict=True)


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
