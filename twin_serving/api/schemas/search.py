"""Searching for passages."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from twin_resources.retrieval.search import Filters
from twin_serving.api.schemas.base import WHOLE, AuthorId, Category, In, Moment, Out, Query, Text


class FiltersIn(In):
    """Which passages may be found; a date without a time means the whole day, in UTC."""

    category: list[Category] = Field(default=[])
    platform: list[Text] = Field(default=[], max_length=50)
    url: list[Text] = Field(default=[], max_length=200)
    language: list[Text] = Field(default=[], max_length=20, description="ISO 639-1, as `en`")
    published_from: Moment | None = None
    published_to: Moment | None = None

    @field_validator("published_to", mode="before")
    @classmethod
    def _to_the_end_of_the_day(cls, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()):
            return f"{value.strip()}T23:59:59.999999Z"
        return value

    def filters(self) -> Filters:
        """As the index takes them."""
        return Filters(self.category, self.platform, self.url, self.language, self.published_from, self.published_to)


class SearchIn(In):
    """A search for passages."""

    query: Query
    author: AuthorId | None = None
    k: Annotated[int, Field(ge=1, le=100), WHOLE] = 5
    mode: Literal["hybrid", "dense", "lexical"] = "hybrid"
    rerank: bool = Field(True, description="order the best passages with the cross-encoder, where there is one")
    expand: bool | None = Field(
        None, description="search a second time, with the query moved towards its best passages; else as configured"
    )
    recency: float = Field(0, ge=0, le=1, description="how much newer passages are preferred")
    diversity: float = Field(0, ge=0, le=1, description="how much passages unlike those before are preferred")
    read: bool = Field(
        False, description="take dates, platform and category from the question, and split a compound one"
    )
    filters: FiltersIn = FiltersIn()


class SearchResult(Out):
    """One passage; ``scores`` says how each ranking saw it."""

    chunk_id: str
    document_id: str
    title: str
    url: str
    platform: str
    category: str
    published_at: datetime | None
    heading: list[str]
    text: str
    score: float
    scores: dict[str, float]


class UnderstoodOut(Out):
    """What was read from a question: the ``parts`` searched for, ``filters`` set, and the words each came from."""

    parts: list[str]
    filters: dict[str, Any]
    because: dict[str, str]


class SearchOut(Out):
    """Passages, the best first; ``reranker`` is null where nothing was re-ranked, and ``note`` says why."""

    results: list[SearchResult]
    reranker: str | None
    note: str | None
    understood: UnderstoodOut | None
    timings_ms: dict[str, float]
    trace_id: str
