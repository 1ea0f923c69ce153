"""OpenAI's calls, for clients that speak its protocol."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.database.shards import about
from twin_resources.generation.base import GeneratorError
from twin_serving.answering.engine import BASE
from twin_serving.answering.policy import Question
from twin_serving.answering.reply import Writing, Written
from twin_serving.answering.results import answer_fields
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem, problem_of
from twin_serving.api.requests import begun, caller_of, read, services_of, tokens_left_of
from twin_serving.api.responses import EventStream, event, json_response
from twin_serving.api.schemas.chat import ChatIn, ChatOut, Message, ModelCard, ModelsOut

_TEXT = "\ue000text\ue000"
"""Stands for the text of a chunk; private characters, so that no model is called so."""


async def chat(request: Request) -> Response:
    """OpenAI's chat completions."""
    services = services_of(request)
    body = await read(request, ChatIn)
    author, model = _model(services, body.model)
    turns = _merged(body.turns)
    question = Question(
        call="chat",
        author=author,
        text=turns[-1]["content"],
        mode=body.mode,
        use_rag=body.use_rag,
        model=model,
        max_tokens=body.max_completion_tokens or body.max_tokens or 256,
        temperature=0.3 if body.temperature is None else body.temperature,
        seed=body.seed,
        stop=body.stops,
        history=turns[:-1],
        caller=caller_of(request),
        tokens_left=tokens_left_of(request),
        instruction="\n\n".join(each.text for each in body.messages if each.role in ("system", "developer")),
    )
    writing = await begun(request, question)
    created = int(time.time())
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(_events(writing, body.model, created, with_usage=usage), writing)
    return json_response(_completion(await writing.whole(request.is_disconnected), created))


def _model(services: Services, name: str) -> tuple[str, str | None]:
    """``twin/<author>[@version]`` as author and model; where there is one author, ``twin`` and ``base`` will do."""
    prefix, _, rest = name.partition("/")
    if prefix == "twin" and rest:
        return services.author(rest.partition("@")[0]), name
    if name in ("twin", BASE) and len(services.authors) == 1:
        return services.author(None), None if name == "twin" else BASE
    known = ", ".join(f"twin/{author.id}" for author in services.authors)
    raise Problem(404, "unknown-model", f"no model {name!r}; there are: {known}, and versions of them behind an @")


def _merged(messages: list[Message]) -> list[dict[str, str]]:
    """The turns, neighbours of one role joined: chat templates insist that user and assistant take turns."""
    turns: list[dict[str, str]] = []
    for message in messages:
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += f"\n\n{message.text}"
        else:
            turns.append({"role": message.role, "content": message.text})
    return turns


def _completion(written: Written, created: int) -> ChatOut:
    choice = {"message": {"content": written.answer.text}, "finish_reason": _finish_reason(written)}
    return ChatOut.model_validate(
        {
            "id": f"chatcmpl-{written.trace_id}",
            "created": created,
            "model": written.model["version"],
            "choices": [choice],
            "usage": written.usage,
            "twin": _twin(written),
        }
    )


def _finish_reason(written: Written) -> str:
    return "length" if written.generation.finish_reason == "length" else "stop"


def _twin(written: Written) -> dict[str, Any]:
    return {
        **{name: value for name, value in answer_fields(written).items() if name != "answer"},
        "trace_id": written.trace_id,
        "model": written.model,
    }


async def _events(writing: Writing, model: str, created: int, *, with_usage: bool) -> AsyncGenerator[str | bytes, None]:
    head = {"id": f"chatcmpl-{writing.trace_id}", "object": "chat.completion.chunk", "created": created, "model": model}

    def chunk(delta: Mapping[str, Any] | None, reason: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        return event(None, {**head, "choices": choices, **more})

    # All that the chunk of a token says but its text is the same for each, so it is written once.
    before, after = (part.encode() for part in chunk({"content": _TEXT}).split(f'"{_TEXT}"'))
    try:
        yield chunk({"role": "assistant", "content": ""})
        async with contextlib.aclosing(writing.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield b"%b%b%b" % (before, to_json(piece), after)
                    continue
                yield chunk({}, _finish_reason(piece), twin={**_twin(piece), "answer": piece.answer.text})
                if with_usage:
                    yield chunk(None, usage=piece.usage)
    except GeneratorError as error:
        yield event(None, problem_of(error).openai_body(writing.trace_id))
    yield "data: [DONE]\n\n"


async def models(request: Request) -> Response:
    """Every twin and every version of it."""
    services = services_of(request)

    def cards() -> list[ModelCard]:
        found = []
        for author in services.authors:
            with about(author.id):
                usable = [each for each in services.releases.list(author.id) if not each.retired_because]
            created = int(usable[0].created_at.timestamp()) if usable else 0
            found.append(ModelCard(id=f"twin/{author.id}", created=created, owned_by=author.id))
            found.append(ModelCard(id=f"twin/{author.id}@{BASE}", created=0, owned_by=author.id))
            for each in usable:
                stamp = int(each.created_at.timestamp())
                found.append(ModelCard(id=f"twin/{author.id}@{each.version}", created=stamp, owned_by=author.id))
        return found

    return json_response(ModelsOut(data=await run_in_threadpool(cards)))


OPERATIONS = (
    Operation(
        "POST",
        "/v1/chat/completions",
        chat,
        "Ask the twin as OpenAI's clients do",
        ChatOut,
        ChatIn,
        errors=(404, 422, 502, 503),
        streams=True,
    ),
    Operation("GET", "/v1/models", models, "Twins and their versions, as OpenAI's clients list them", ModelsOut),
)
