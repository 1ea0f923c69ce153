"""Asking the twin."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from twin_resources.generation.base import GeneratorError
from twin_serving.answering.reply import Question, Writing, Written, begin
from twin_serving.answering.results import answer_fields
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import problem_of
from twin_serving.api.requests import read, services_of, trace_of
from twin_serving.api.responses import EventStream, event, json_response
from twin_serving.api.schemas.answers import AskIn, AskOut, QuestionIn


async def ask(request: Request) -> Response:
    """Ask the twin; as JSON, or as server-sent events."""
    services = services_of(request)
    body = await read(request, AskIn)
    writing = await begin(services, asked(services, body), trace_of(request))
    if body.stream:
        return EventStream(_events(writing), writing)
    return json_response(answered(await writing.whole(request.is_disconnected)))


def asked(services: Services, body: QuestionIn) -> Question:
    """The question of a body.

    Raises:
        UnknownAuthor: there is no such author.
        AuthorNeeded: one of several has to be named.
    """
    return Question(
        call="ask",
        author=services.author(body.author),
        text=body.query,
        mode=body.mode,
        k=body.k,
        filters=body.filters.filters(),
        use_rag=body.use_rag,
        model=body.model,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        seed=body.seed,
    )


def answered(written: Written) -> AskOut:
    """The response to a question."""
    return AskOut.model_validate(
        {
            **answer_fields(written),
            "model": written.model,
            "trace_id": written.trace_id,
            "finish_reason": written.generation.finish_reason,
            "reranker": written.reranker,
            "usage": written.usage,
            "timings_ms": written.timings_ms,
        }
    )


async def _events(writing: Writing) -> AsyncGenerator[str, None]:
    try:
        async with contextlib.aclosing(writing.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Written):
                    yield event("done", answered(piece))
                else:
                    yield event("token", {"text": piece})
    except GeneratorError as error:
        yield event("error", problem_of(error).body(writing.trace_id))


OPERATIONS = (
    Operation("POST", "/ask", ask, "Ask the twin", AskOut, AskIn, errors=(404, 422, 429, 502, 503), streams=True),
)
