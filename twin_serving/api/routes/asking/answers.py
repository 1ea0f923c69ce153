"""Asking the twin, and reading an answer again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.generation.base import GeneratorError
from twin_resources.rag import prompt
from twin_resources.storage.calls.conversations import conversation_id
from twin_serving.answering.policy import Question
from twin_serving.answering.reply import Writing, Written
from twin_serving.answering.results import answer_fields, given_fields
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import problem_of
from twin_serving.api.requests import begun, caller_of, read, services_of, tokens_left_of
from twin_serving.api.responses import EventStream, event, json_response
from twin_serving.api.schemas.answers import AskIn, AskOut, GivenOut, QuestionIn, SigningKeyOut


async def ask(request: Request) -> Response:
    """Ask the twin; as JSON, or as server-sent events."""
    services = services_of(request)
    body = await read(request, AskIn)
    writing = await begun(request, await asked(request, body))
    if body.stream:
        return EventStream(_events(writing, services if body.sign else None), writing)
    written = await writing.whole(request.is_disconnected)
    return json_response(answered(written, services.signing.sign(written) if body.sign else None))


async def asked(request: Request, body: QuestionIn) -> Question:
    """The question of a body, with what was said before it in its conversation; it begins one where it names none.

    Raises:
        UnknownAuthor: there is no such author.
        AuthorNeeded: one of several has to be named.
        UnknownConversation: there is no such conversation with this author.
    """
    services = services_of(request)
    author, conversation = services.author(body.author), body.conversation_id
    earlier = await run_in_threadpool(services.conversations.history, conversation, author) if conversation else ()
    return Question(
        call="ask",
        author=author,
        history=prompt.history(earlier),
        conversation=conversation or conversation_id(),
        text=body.query,
        mode=body.mode,
        k=body.k,
        filters=body.filters.filters(),
        use_rag=body.use_rag,
        model=body.model,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        seed=body.seed,
        caller=caller_of(request),
        tokens_left=tokens_left_of(request),
    )


def answered(written: Written, signed: dict[str, Any] | None = None) -> AskOut:
    """The response to a question."""
    return AskOut.model_validate(
        {
            **answer_fields(written),
            "model": written.model,
            "trace_id": written.trace_id,
            "conversation_id": written.question.conversation,
            "finish_reason": written.generation.finish_reason,
            "reranker": written.reranker,
            "usage": written.usage,
            "timings_ms": written.timings_ms,
            "signed": signed,
        }
    )


async def _events(writing: Writing, signing: Services | None) -> AsyncGenerator[str, None]:
    try:
        async with contextlib.aclosing(writing.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Written):
                    yield event("done", answered(piece, signing.signing.sign(piece) if signing else None))
                else:
                    yield event("token", {"text": piece})
    except GeneratorError as error:
        yield event("error", problem_of(error).body(writing.trace_id))


async def signing_key(request: Request) -> Response:
    """The key that checks signed answers."""
    return json_response(SigningKeyOut(public_key=services_of(request).signing.signer.public_key))


async def read_answer(request: Request) -> Response:
    """An answer as it was given."""
    services = services_of(request)
    wanted = request.path_params["trace_id"].replace("\x00", "")
    given = await run_in_threadpool(services.conversations.answer, wanted)
    return json_response(GivenOut.model_validate(given_fields(given)))


OPERATIONS = (
    Operation("GET", "/signing-key", signing_key, "The public key that checks signed answers", SigningKeyOut),
    Operation("POST", "/ask", ask, "Ask the twin", AskOut, AskIn, errors=(404, 422, 502, 503), streams=True),
    Operation("GET", "/answers/{trace_id}", read_answer, "An answer as it was given", GivenOut, errors=(404,)),
)
