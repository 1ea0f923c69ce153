"""Documents of the author: adding, reading and forgetting them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator, model_validator

from twin_resources.sources.base import MediaType, RawDocument
from twin_resources.text.dates import parse_utc
from twin_resources.text.urls import canonical_url
from twin_serving.api.schemas.base import AuthorId, Category, In, Out, Text

MAX_DOCUMENT = 2_000_000
MAX_DOCUMENTS = 200


class DocumentIn(In):
    """A document of the author: an absolute URL and exactly one of ``text``, ``markdown`` and ``html``."""

    url: Text = Field(max_length=2_000)
    title: Text | None = Field(None, max_length=500)
    text: Text | None = Field(None, max_length=MAX_DOCUMENT)
    markdown: Text | None = Field(None, max_length=MAX_DOCUMENT)
    html: Text | None = Field(None, max_length=MAX_DOCUMENT)
    category: Category = "articles"
    platform: str = Field("api", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    published_at: Annotated[str, Field(description="ISO 8601")] | None = None

    @field_validator("url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not re.match(r"https?://", value, re.I):
            raise ValueError("must be an http or https URL")
        return canonical_url(value)

    @field_validator("published_at")
    @classmethod
    def _date(cls, value: str | None) -> str | None:
        parse_utc(value or "")
        return value

    @model_validator(mode="after")
    def _one_body(self) -> DocumentIn:
        bodies = [name for name in ("text", "markdown", "html") if (getattr(self, name) or "").strip()]
        if len(bodies) != 1:
            raise ValueError(f"needs exactly one of text, markdown, html; has {', '.join(bodies) or 'none'}")
        return self

    def raw(self) -> RawDocument:
        """As the warehouse takes it."""
        name = next(name for name in ("text", "markdown", "html") if (getattr(self, name) or "").strip())
        media: MediaType = "text/html" if name == "html" else "text/markdown" if name == "markdown" else "text/plain"
        return RawDocument(
            url=self.url,
            platform=self.platform,
            category=self.category,
            media_type="text/x-code" if self.category == "code" and name == "text" else media,
            body=getattr(self, name),
            title=(self.title or "").strip() or None,
            published_at=parse_utc(self.published_at or ""),
        )


class DocumentsIn(In):
    """Documents to add; each is judged by itself, so one bad one does not keep the others out."""

    author: AuthorId | None = None
    documents: list[Any] = Field(
        min_length=1,
        max_length=MAX_DOCUMENTS,
        json_schema_extra={
            "items": {
                "anyOf": [
                    {"$ref": "#/components/schemas/DocumentIn"},
                    {"description": "anything else is rejected by itself, and the response says why"},
                ]
            }
        },
    )


class Rejected(Out):
    """A document that was not taken, by its place in the request."""

    index: int
    error: str


class Stored(Out):
    """A document that was taken or was there already."""

    index: int
    id: str
    url: str


class DocumentsOut(Out):
    """What became of the documents: ``accepted`` are new or changed."""

    accepted: int
    unchanged: int
    rejected: list[Rejected]
    documents: list[Stored]


class DocumentOut(Out):
    """A document as it was cleaned; ``text`` is Markdown, or a source file where the category is ``code``."""

    document_id: str
    title: str
    url: str
    platform: str
    category: Category
    published_at: datetime | None
    text: str


class TrainedAdapter(Out):
    """An adapter that was trained on a document."""

    model_config = ConfigDict(extra="allow")

    version: str
    aliases: list[str] | None
    retired_because: str | None


class ForgottenOut(Out):
    """What was forgotten. The adapters keep what they learned until they are retired."""

    document_id: str
    url: str
    copies: list[str] = Field(description="URLs of the same text on other platforms, forgotten with it")
    adapters: list[TrainedAdapter]
