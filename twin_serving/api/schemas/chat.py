"""OpenAI's calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from twin_serving.api.schemas.answers import Citation, Model, NearestOut, SentenceOut, Usage
from twin_serving.api.schemas.base import MAX_TOKENS, NOT_BLANK, STORABLE, WHOLE, Out, Text, check_storable, has_ink

_LENIENT = ConfigDict(extra="ignore", strict=True)

_INK: dict[str, Any] = {"type": "string", "pattern": NOT_BLANK}
_QUESTION: dict[str, Any] = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"const": "user"},
        "content": {
            "anyOf": [_INK, {"type": "array", "contains": {"type": "object", "properties": {"text": _INK}}}],
        },
    },
}


class Part(BaseModel):
    """A part of a message."""

    model_config = _LENIENT

    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """A chat message; of its parts only text is read."""

    model_config = _LENIENT

    role: Literal["system", "developer", "user", "assistant"]
    content: (
        Annotated[
            str,
            Field(max_length=100_000, json_schema_extra={"pattern": STORABLE}),
            AfterValidator(check_storable),
        ]
        | list[Part]
    )

    @property
    def text(self) -> str:
        """The whole text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """OpenAI's ``stream_options``."""

    model_config = _LENIENT

    include_usage: bool = False


class ChatIn(BaseModel):
    """OpenAI's chat completion; parameters that are not listed are accepted and have no effect."""

    model_config = _LENIENT

    model: Annotated[str, Field(max_length=200, description="`twin/<author>[@version]`")]
    messages: list[Message] = Field(
        min_length=1,
        max_length=200,
        description="the last message of the user that says anything is the question; what follows it is not read",
        json_schema_extra={"contains": _QUESTION},
    )
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS), WHOLE] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS), WHOLE] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    seed: Annotated[int, Field(ge=0, lt=2**63), WHOLE] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    n: Literal[1] | None = Field(None, description="one answer a request")
    use_rag: bool = Field(True, description="an addition of ours: false leaves the passages out")
    mode: Literal["auto", "quote", "generate", "write"] = Field(
        "auto", description="an addition of ours: who answers, as in `POST /ask`"
    )
    tools: Annotated[list[Any], Field(max_length=0)] | None = Field(None, description="not supported")
    logprobs: Literal[False] | None = Field(None, description="not supported")

    @field_validator("tools", mode="before")
    @classmethod
    def _no_tools(cls, value: Any) -> Any:
        if isinstance(value, list) and value:
            raise ValueError("tools are not supported")
        return value

    @model_validator(mode="after")
    def _asks_something(self) -> ChatIn:
        if not self.turns:
            raise ValueError("messages must hold a message of the user that is not empty")
        return self

    @property
    def turns(self) -> list[Message]:
        """User and assistant, from the first message of the user to the last one that says anything."""
        said = [each for each in self.messages if each.role in ("user", "assistant")]
        asking = [place for place, each in enumerate(said) if each.role == "user" and has_ink(each.text)]
        if not asking:
            return []
        first = next(place for place, each in enumerate(said) if each.role == "user")
        return said[first : asking[-1] + 1]

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

    mode: Literal["quote", "generate", "write"]
    because: str
    abstained: bool
    support: float | None
    grounded: bool
    searched_for: str | None
    sentences: list[SentenceOut]
    citations: list[Citation]
    nearest: list[NearestOut]
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
