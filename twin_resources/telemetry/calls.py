"""One call of the API, and the spans that tell of it in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from twin_resources.text.pii import storable

AUTHOR = "twin.author"
"""The attribute that every span has, so that spans can be sent to where their author's belong."""
EXPERIMENT = "twin-{author}"
"""MLflow's experiment of an author, of trainings as of calls."""
SAMPLE_TEXTS = "sample_texts.json"
"""What an adapter wrote while it was trained, among the files of its run."""
PROVIDER = "llm-twin"
_SEARCH = "search_"


@dataclass(frozen=True)
class Turn:
    """A message that a model was given."""

    role: str
    content: str


@dataclass(frozen=True)
class Found:
    """A passage that search found; ``scores`` says how each step of it saw the passage."""

    chunk_id: str
    url: str
    score: float
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Call:
    """What was asked, found and said. ``timings_ms`` are milliseconds by step, ``total`` the whole; ``began`` is in
    seconds since 1970."""

    trace_id: str
    author: str
    name: str
    began: float
    timings_ms: Mapping[str, float]
    query: str
    searched_for: str | None = None
    found: Sequence[Found] = ()
    turns: Sequence[Turn] = ()
    answer: str | None = None
    mode: str | None = None
    because: str | None = None
    abstained: bool = False
    support: float | None = None
    base: str | None = None
    version: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


def write_spans(tracer: trace.Tracer, call: Call, *, text: bool) -> None:
    """Write a call as a span with one below it for the search and one for the model, where there was one.

    Args:
        text: whether questions, prompts and answers are told, without personal data, or only figures and addresses.
    """
    begin = int(call.began * 1e9)
    end = begin + _nanoseconds(call.timings_ms.get("total") or sum(call.timings_ms.values()))
    root = tracer.start_span(
        call.name, start_time=begin, kind=trace.SpanKind.SERVER, attributes=_attributes(_of_call(call, text), call)
    )
    if call.error:
        root.set_status(trace.StatusCode.ERROR, storable(call.error) if text else None)
    below = trace.set_span_in_context(root)
    searched = sum(call.timings_ms.get(f"{_SEARCH}{name}", 0.0) for name in ("total", "evidence"))
    after = begin + _nanoseconds(searched)
    if searched:
        span = tracer.start_span(
            "retrieval", context=below, start_time=begin, attributes=_attributes(_of_search(call, text), call)
        )
        span.end(after)
    if generating := call.timings_ms.get("generate"):
        span = tracer.start_span(
            f"chat {call.version or call.base}",
            context=below,
            start_time=end - _nanoseconds(generating),
            kind=trace.SpanKind.CLIENT,
            attributes=_attributes(_of_model(call, text), call),
        )
        span.end(end)
    root.end(max(end, after))


def _of_call(call: Call, text: bool) -> dict[str, object]:
    return {
        gen_ai.GEN_AI_OPERATION_NAME: "invoke_agent",
        gen_ai.GEN_AI_AGENT_NAME: f"twin/{call.author}",
        gen_ai.GEN_AI_AGENT_VERSION: call.version,
        gen_ai.GEN_AI_INPUT_MESSAGES: _messages([Turn("user", call.query)]) if text else None,
        gen_ai.GEN_AI_OUTPUT_MESSAGES: _messages([Turn("assistant", call.answer)]) if text and call.answer else None,
        "twin.mode": call.mode,
        "twin.because": call.because,
        "twin.abstained": call.abstained,
        "twin.support": call.support,
        **{f"twin.milliseconds.{name}": value for name, value in call.timings_ms.items()},
    }


def _of_search(call: Call, text: bool) -> dict[str, object]:
    documents = [{"id": each.chunk_id, "url": each.url, "score": each.score, **each.scores} for each in call.found]
    return {
        gen_ai.GEN_AI_OPERATION_NAME: "retrieval",
        gen_ai.GEN_AI_RETRIEVAL_QUERY_TEXT: storable(call.searched_for or call.query) if text else None,
        gen_ai.GEN_AI_RETRIEVAL_DOCUMENTS: json.dumps(documents),
    }


def _of_model(call: Call, text: bool) -> dict[str, object]:
    return {
        gen_ai.GEN_AI_OPERATION_NAME: "chat",
        gen_ai.GEN_AI_REQUEST_MODEL: call.version or call.base,
        gen_ai.GEN_AI_INPUT_MESSAGES: _messages(call.turns) if text else None,
        gen_ai.GEN_AI_OUTPUT_MESSAGES: _messages([Turn("assistant", call.answer)]) if text and call.answer else None,
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: call.usage.get("prompt_tokens"),
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: call.usage.get("completion_tokens"),
        gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: call.timings_ms.get("first_token", 0.0) / 1000,
    }


def _attributes(given: Mapping[str, object], call: Call) -> dict[str, str | bool | int | float]:
    """Those that are known, with whose they are."""
    known = {name: value for name, value in given.items() if isinstance(value, (str, bool, int, float))}
    return {gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER, AUTHOR: call.author, **known}


def _messages(turns: Sequence[Turn]) -> str:
    """Messages as the conventions write them, in JSON."""
    told = [{"role": each.role, "parts": [{"type": "text", "content": storable(each.content)}]} for each in turns]
    return json.dumps(told, ensure_ascii=False)


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1e6)
