"""What goes in and comes out of each call; the OpenAPI document is made of these."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from twin_resources.readers.archives import is_storable
from twin_resources.retrieval.search import Filters
from twin_resources.sources.base import MediaType, RawDocument
from twin_resources.text.dates import parse_utc
from twin_resources.text.urls import canonical_url

MAX_QUERY = 8_000
MAX_DOCUMENT = 2_000_000
MAX_DOCUMENTS = 200
MAX_TOKENS = 2_048


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("holds a NUL or half of a surrogate pair, which no database can store")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Query = Annotated[str, Field(max_length=MAX_QUERY), AfterValidator(_not_blank), AfterValidator(_storable)]
AuthorId = Annotated[str, Field(max_length=40, description="may be left out where one author is configured")]
Category = Literal["articles", "posts", "code"]


class In(BaseModel):
    """A request body of ours: an unknown member is an error, so a typing mistake shows."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """A response."""


class FiltersIn(In):
    """Which passages may be found; a date without a time means the whole day, in UTC."""

    category: list[Category] = []
    platform: list[Text] = Field(default=[], max_length=50)
    url: list[Text] = Field(default=[], max_length=200)
    language: list[Text] = Field(default=[], max_length=20, description="ISO 639-1, as `en`")
    published_from: datetime | None = None
    published_to: datetime | None = None

    @field_validator("published_to", mode="before")
    @classmethod
    def _to_the_end_of_the_day(cls, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()):
            return f"{value.strip()}T23:59:59.999999Z"
        return value

    @field_validator("published_from", "published_to")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value

    def filters(self) -> Filters:
        """As the index takes them."""
        return Filters(self.category, self.platform, self.url, self.language, self.published_from, self.published_to)


class SearchIn(In):
    """A search for passages."""

    query: Query
    author: AuthorId | None = None
    k: int = Field(5, ge=1, le=100)
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


class AskIn(In):
    """A question to the twin."""

    query: Query
    author: AuthorId | None = None
    k: int = Field(6, ge=1, le=50, description="passages to look at; as many as fit the context are used")
    filters: FiltersIn = FiltersIn()
    use_rag: bool = True
    model: Text | None = Field(
        None, max_length=200, description="`twin/<author>[@version]`, a version, an alias or `base`; else the champion"
    )
    stream: bool = Field(False, description="Server-sent events: `token` with {text}, then `done` with this response")
    max_tokens: int = Field(256, ge=1, le=MAX_TOKENS)
    temperature: float = Field(0.3, ge=0, le=2)
    seed: int | None = Field(None, ge=0, lt=2**63)


class Citation(Out):
    """What a marker in the answer stands for; ``quote`` is verbatim from the document."""

    marker: int
    chunk_id: str
    document_id: str
    title: str
    url: str
    platform: str
    quote: str


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


class AskOut(Out):
    """An answer; ``grounded`` is false where no passage supports any of its sentences."""

    answer: str
    citations: list[Citation]
    grounded: bool
    model: Model
    trace_id: str
    finish_reason: Literal["stop", "length", "cancelled"]
    reranker: str | None
    usage: Usage
    timings_ms: dict[str, float]


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """A chat message; of its parts only text is read."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=100_000), AfterValidator(_storable)] | list[Part]

    @property
    def text(self) -> str:
        """The whole text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """OpenAI's ``stream_options``."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatIn(BaseModel):
    """OpenAI's chat completion; parameters that are not listed are accepted and have no effect."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=200, description="`twin/<author>[@version]`")]
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = Field(None, ge=0, lt=2**63)
    stop: Text | list[Text] | None = None
    n: Literal[1] | None = Field(None, description="one answer a request")
    use_rag: bool = Field(True, description="an addition of ours: false leaves the passages out")
    tools: None = Field(None, description="not supported")
    logprobs: Literal[False] | None = Field(None, description="not supported")

    @field_validator("tools", mode="before")
    @classmethod
    def _no_tools(cls, value: Any) -> Any:
        if value:
            raise ValueError("tools are not supported")

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > 4:
            raise ValueError("at most four stop strings")
        return value

    @model_validator(mode="after")
    def _ends_with_the_user(self) -> ChatIn:
        turns = [message for message in self.messages if message.role in ("user", "assistant")]
        if not turns or turns[0].role != "user" or turns[-1].role != "user":
            raise ValueError("messages must begin and end with a message of the user")
        if not turns[-1].text.strip():
            raise ValueError("the last message is empty")
        return self

    @property
    def stops(self) -> list[str]:
        """The stop strings."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


class ChatMessage(Out):
    """The message of a choice."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(Out):
    """The one choice."""

    index: int = 0
    message: ChatMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class Twin(Out):
    """Our addition to OpenAI's response."""

    citations: list[Citation]
    grounded: bool
    trace_id: str
    model: Model


class ChatOut(Out):
    """OpenAI's chat completion with ``twin``; the last chunk of a stream carries ``twin`` too, with the ``answer``."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    twin: Twin


class ModelCard(Out):
    """One entry of OpenAI's model list."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelsOut(Out):
    """OpenAI's model list."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


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
        json_schema_extra={"items": {"$ref": "#/components/schemas/DocumentIn"}},
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


class FeedbackIn(In):
    """What a reader thinks of an answer."""

    trace_id: Text = Field(min_length=8, max_length=64)
    rating: Literal["up", "down"]
    comment: Text | None = Field(None, max_length=4_000)
    correction: Text | None = Field(None, max_length=20_000, description="what the author would have said")


class FeedbackOut(Out):
    """The rating is stored."""

    trace_id: str
    accepted: bool = True


class ReleaseOut(Out):
    """An adapter version; ``serving`` says whether it answers now."""

    version: str
    author: str
    kind: str
    base: str
    artifact: str
    dataset_id: str
    metrics: dict[str, Any]
    gate: dict[str, Any]
    created_at: datetime
    aliases: list[str]
    retired_because: str | None
    passed: bool
    serving: bool


class ReleasesOut(Out):
    """All versions, the newest first."""

    releases: list[ReleaseOut]


class DecisionIn(In):
    """Who decides, and why."""

    by: Text = Field("api", min_length=1, max_length=200)
    comment: Text = Field("", max_length=4_000)


class RollbackIn(DecisionIn):
    """Back to the champion before."""

    author: AuthorId | None = None


class AuthorOut(Out):
    """An author whose twin is served, for the chat page."""

    id: str
    name: str
    champion: str | None
    serving: str | None
    versions: list[dict[str, Any]]


class AuthorsOut(Out):
    """Every configured author."""

    authors: list[AuthorOut]


class LineageOut(Out):
    """Of a URL: the documents and all they touched. Of a trace: passages, adapter, dataset and its documents."""

    model_config = ConfigDict(extra="allow")

    links: dict[str, str] = Field(description="pages of Dagster and MLflow about it, where those are reachable")


class LiveOut(Out):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Component(Out):
    """A part of the API, and what keeps it from working."""

    ready: bool
    reason: str | None


class ReadyOut(Out):
    """``ready``: searches are answered. ``can_answer``: questions are, too."""

    ready: bool
    can_answer: bool
    components: dict[str, Component]
    champions: dict[str, dict[str, Any]]
    warnings: list[str]


class ProblemOut(Out):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: str
    errors: list[dict[str, Any]] | None = None
