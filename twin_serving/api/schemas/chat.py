"""OpenAI's calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from twin_serving.api.schemas.answers import Citation, Model, Usage
from twin_serving.api.schemas.base import MAX_TOKENS, Out, Text, check_storable


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """A chat message; of its parts only text is read."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=100_000), AfterValidator(check_storable)] | list[Part]

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
