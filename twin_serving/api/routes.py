"""Every call of the API: one table of operations, of which both the routes and the OpenAPI document are made."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json, to_jsonable_python
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from twin_resources.generation.generators import GeneratorError
from twin_resources.rag.query import words_of
from twin_resources.storage import lineage as records
from twin_resources.storage.releases import Release, ReleaseError
from twin_resources.text.urls import canonical_url
from twin_serving.answering.engine import BASE
from twin_serving.answering.metrics import CONTENT_TYPE
from twin_serving.answering.reply import Question, Reply, Written
from twin_serving.answering.services import Services
from twin_serving.api import schemas as s
from twin_serving.api.problems import Problem, problem_of

PAGE = Path(__file__).parent / "page"
BODY_LIMIT = 1_000_000
DOCUMENTS_LIMIT = 16_000_000

T = TypeVar("T", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


def _services(request: Request) -> Services:
    return request.app.state.services


def _json(content: Any, status: int = 200) -> Response:
    return Response(to_json(content, inf_nan_mode="null"), status, media_type="application/json")


async def read(request: Request, model: type[T], *, limit: int = BODY_LIMIT, optional: bool = False) -> T:
    """The body of a request as ``model``.

    Raises:
        Problem: 400 for what is not JSON, 413 over ``limit`` bytes, 415 for another media type, 422 for a wrong member.
    """
    body = bytearray()
    with contextlib.suppress(ValueError):
        if int(request.headers.get("content-length", "0")) > limit:
            raise _too_large(limit)
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Problem(400, "body-cut-off", "The connection closed before the body was complete.") from None
    if optional and not body.strip():
        return model()
    media = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if media != "application/json" and not media.endswith("+json"):
        raise Problem(415, "json-needed", "Send the body as JSON, with `Content-Type: application/json`.")
    try:
        value = json.loads(bytes(body), parse_constant=_no_constant)
    except RecursionError:
        raise Problem(400, "not-json", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise Problem(400, "not-json", "The body is not UTF-8.") from None
    except ValueError as error:
        raise Problem(400, "not-json", f"The body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Problem(422, "wrong-input", "The body must be a JSON object.")
    return _valid(model, value)


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "too-large", f"The body is over {limit // 1000} kB; send it in parts.", headers={"Connection": "close"}
    )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _valid(model: type[T], value: Any) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [
            {
                "field": ".".join(str(part) for part in problem["loc"]),
                "message": problem["msg"].removeprefix("Value error, "),
            }
            for problem in error.errors()
        ]
        detail = "; ".join(
            f"{each['field']}: {each['message']}" if each["field"] else each["message"] for each in problems
        )
        raise Problem(422, "wrong-input", detail, errors=problems) from None
    except RecursionError:
        raise Problem(422, "wrong-input", "The body is nested too deeply.") from None


async def search(request: Request) -> Response:
    """Find passages."""
    services = _services(request)
    body = await read(request, s.SearchIn)
    author = services.author(body.author)
    trace = request.state.trace_id

    def find() -> dict[str, Any]:
        found = services.rag.search(
            author,
            body.query,
            k=body.k,
            mode=body.mode,
            rerank=body.rerank,
            filters=body.filters.filters(),
            expand=body.expand,
            recency=body.recency,
            diversity=body.diversity,
            read=body.read,
        )
        read_as = found.understood
        passages = [
            {
                "chunk_id": hit.chunk_id,
                "document_id": hit.document_id,
                "url": hit.url,
                "title": hit.title,
                "cited": False,
            }
            for hit in found.hits
        ]
        services.monitor.record(
            services.interactions,
            trace,
            author=author,
            call="search",
            query=body.query,
            citations=passages,
            timings_ms=found.timings_ms,
        )
        return {
            "results": [asdict(hit) for hit in found.hits],
            "reranker": found.reranker,
            "note": found.note,
            "understood": {
                "parts": list(read_as.parts),
                "filters": words_of(read_as.filters),
                "because": read_as.because,
            }
            if read_as
            else None,
            "timings_ms": found.timings_ms,
            "trace_id": trace,
        }

    return _json(s.SearchOut.model_validate(await run_in_threadpool(find)))


async def ask(request: Request) -> Response:
    """Ask the twin; as JSON, or as server-sent events."""
    services = _services(request)
    body = await read(request, s.AskIn)
    author = services.author(body.author)
    question = Question(
        "ask",
        author,
        body.query,
        body.k,
        body.filters.filters(),
        body.use_rag,
        body.model,
        body.max_tokens,
        body.temperature,
        body.seed,
    )
    reply = Reply(services, request.state.trace_id, question)
    await reply.begin()
    if body.stream:
        return EventStream(_ask_events(reply), reply)
    return _json(_ask_out(reply, await reply.whole(request)))


def _ask_out(reply: Reply, written: Written) -> s.AskOut:
    return s.AskOut.model_validate(
        {
            "answer": written.cited.answer,
            "citations": written.cited.citations,
            "grounded": written.cited.grounded,
            "model": written.model(reply.question.author),
            "trace_id": reply.trace_id,
            "finish_reason": written.generation.finish_reason,
            "reranker": written.reranker,
            "usage": written.usage,
            "timings_ms": written.timings_ms,
        }
    )


async def _ask_events(reply: Reply) -> AsyncIterator[str]:
    try:
        async with contextlib.aclosing(cast(Any, reply.pieces())) as pieces:
            async for piece in pieces:
                yield _event("token", {"text": piece})
        assert reply.written is not None
        yield _event("done", _ask_out(reply, reply.written))
    except GeneratorError as error:
        yield _event("error", problem_of(error).body(reply.trace_id))


def _event(name: str | None, data: Any) -> str:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {to_json(data).decode()}\n\n"


class EventStream(StreamingResponse):
    """Server-sent events that stop the engine as soon as the reader is gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], reply: Reply) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.cancel()
            with anyio.CancelScope(shield=True):
                await cast(Any, self._events).aclose()


async def chat(request: Request) -> Response:
    """OpenAI's chat completions."""
    services = _services(request)
    body = await read(request, s.ChatIn)
    author, model = _chat_model(services, body.model)
    turns = _merged(body.messages)
    question = Question(
        "chat",
        author,
        turns[-1]["content"],
        use_rag=body.use_rag,
        model=model,
        max_tokens=body.max_completion_tokens or body.max_tokens or 256,
        temperature=0.3 if body.temperature is None else body.temperature,
        seed=body.seed,
        stop=body.stops,
        history=turns[:-1],
        instruction="\n\n".join(each.text for each in body.messages if each.role in ("system", "developer")),
    )
    reply = Reply(services, request.state.trace_id, question)
    await reply.begin()
    created = int(time.time())
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(_chat_events(reply, body.model, created, usage), reply)
    written = await reply.whole(request)
    return _json(
        s.ChatOut.model_validate(
            {
                "id": f"chatcmpl-{reply.trace_id}",
                "created": created,
                "model": written.model(author)["version"],
                "choices": [
                    {
                        "message": {"content": written.cited.answer},
                        "finish_reason": "length" if written.generation.finish_reason == "length" else "stop",
                    }
                ],
                "usage": written.usage,
                "twin": _twin(reply, written),
            }
        )
    )


def _chat_model(services: Services, name: str) -> tuple[str, str | None]:
    """``twin/<author>[@version]`` as author and model; where there is one author, ``twin`` and ``base`` will do."""
    prefix, _, rest = name.partition("/")
    if prefix == "twin" and rest:
        return services.author(rest.partition("@")[0]), name
    if name in ("twin", BASE):
        return services.author(None), None if name == "twin" else BASE
    known = ", ".join(f"twin/{author.id}" for author in services.settings.authors)
    raise Problem(404, "unknown-model", f"no model {name!r}; there are: {known}, and versions of them behind an @")


def _merged(messages: list[s.Message]) -> list[dict[str, str]]:
    """User and assistant turns, neighbours of one role joined: chat templates insist that they take turns."""
    turns: list[dict[str, str]] = []
    for message in messages:
        if message.role not in ("user", "assistant"):
            continue
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += f"\n\n{message.text}"
        else:
            turns.append({"role": message.role, "content": message.text})
    return turns


def _twin(reply: Reply, written: Written) -> dict[str, Any]:
    return {
        "citations": written.cited.citations,
        "grounded": written.cited.grounded,
        "trace_id": reply.trace_id,
        "model": written.model(reply.question.author),
    }


async def _chat_events(reply: Reply, model: str, created: int, with_usage: bool) -> AsyncIterator[str]:
    def chunk(delta: Mapping[str, Any] | None, reason: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        head = {"id": f"chatcmpl-{reply.trace_id}", "object": "chat.completion.chunk", "created": created}
        return _event(None, {**head, "model": model, "choices": choices, **more})

    try:
        yield chunk({"role": "assistant", "content": ""})
        async with contextlib.aclosing(cast(Any, reply.pieces())) as pieces:
            async for piece in pieces:
                yield chunk({"content": piece})
        written = reply.written
        assert written is not None
        reason = "length" if written.generation.finish_reason == "length" else "stop"
        yield chunk({}, reason, twin={**_twin(reply, written), "answer": written.cited.answer})
        if with_usage:
            yield chunk(None, usage=written.usage)
    except GeneratorError as error:
        yield _event(None, problem_of(error).openai_body(reply.trace_id))
    yield "data: [DONE]\n\n"


async def models(request: Request) -> Response:
    """Every twin and every version of it."""
    services = _services(request)

    def cards() -> list[s.ModelCard]:
        found = []
        for author in services.settings.authors:
            usable = [each for each in services.releases.list(author.id) if not each.retired_because]
            created = int(usable[0].created_at.timestamp()) if usable else 0
            found.append(s.ModelCard(id=f"twin/{author.id}", created=created, owned_by=author.id))
            found.append(s.ModelCard(id=f"twin/{author.id}@{BASE}", created=0, owned_by=author.id))
            for each in usable:
                stamp = int(each.created_at.timestamp())
                found.append(s.ModelCard(id=f"twin/{author.id}@{each.version}", created=stamp, owned_by=author.id))
        return found

    return _json(s.ModelsOut(data=await run_in_threadpool(cards)))


async def add_documents(request: Request) -> Response:
    """Add documents of the author."""
    services = _services(request)
    body = await read(request, s.DocumentsIn, limit=DOCUMENTS_LIMIT)
    author = services.author(body.author)
    stored = await run_in_threadpool(lambda: services.intake.store(author, body.documents))
    return _json(s.DocumentsOut.model_validate(stored))


async def forget_document(request: Request) -> Response:
    """Forget a document and all that was derived from it."""
    services = _services(request)
    wanted = request.path_params["id"]
    forgotten = await run_in_threadpool(
        lambda: records.forget_document(services.database, wanted, "asked for through DELETE /documents")
    )
    return _json(s.ForgottenOut.model_validate(forgotten))


async def give_feedback(request: Request) -> Response:
    """Rate an answer."""
    services = _services(request)
    body = await read(request, s.FeedbackIn)
    await run_in_threadpool(
        lambda: services.interactions.feedback(body.trace_id, body.rating, body.comment, body.correction)
    )
    services.monitor.ratings.labels(body.rating).inc()
    return _json(s.FeedbackOut(trace_id=body.trace_id), 202)


def _release(services: Services, found: Release) -> s.ReleaseOut:
    return s.ReleaseOut.model_validate(
        {
            **asdict(found),
            "aliases": list(found.aliases),
            "passed": found.passed,
            "serving": services.engine.champion(found.author) == found.version,
        }
    )


async def list_releases(request: Request) -> Response:
    """Versions and where they stand."""
    services = _services(request)
    wanted = request.query_params.get("author")
    author = services.author(wanted) if wanted else None
    found = await run_in_threadpool(lambda: services.releases.list(author))
    return _json(s.ReleasesOut(releases=[_release(services, each) for each in found]))


async def approve(request: Request) -> Response:
    """Make a version the champion; it answers within seconds."""
    services = _services(request)
    body = await read(request, s.DecisionIn, optional=True)
    version = request.path_params["version"]

    def decide() -> Release:
        try:
            services.releases.get(version)
        except ReleaseError as error:
            raise Problem(404, "unknown-version", str(error)) from None
        return services.releases.approve(version, by=body.by, comment=body.comment)

    return _json(_release(services, await run_in_threadpool(decide)))


async def rollback(request: Request) -> Response:
    """Go back to the champion before."""
    services = _services(request)
    body = await read(request, s.RollbackIn, optional=True)
    author = services.author(body.author)
    found = await run_in_threadpool(lambda: services.releases.rollback(author, by=body.by, comment=body.comment))
    return _json(_release(services, found))


async def lineage(request: Request) -> Response:
    """From an answer back to its sources, or from a URL to all it touched."""
    services = _services(request)
    url, trace = request.query_params.get("url"), request.query_params.get("trace_id")
    if (url is None) == (trace is None):
        raise Problem(422, "wrong-input", "Give exactly one of `url` and `trace_id`.")

    def look() -> dict[str, Any]:
        if trace is not None:
            found = records.of_trace(services.database, trace.replace("\x00", ""))
        else:
            found = records.of_url(services.database, _canonical(url or ""))
        return {**found, "links": _links(services, found)}

    return _json(await run_in_threadpool(look))


def _canonical(url: str) -> str:
    try:
        return canonical_url(url.replace("\x00", ""))
    except ValueError as error:
        raise Problem(422, "wrong-input", f"url: {error}") from None


def _links(services: Services, found: Mapping[str, Any]) -> dict[str, str]:
    """Pages about an answer's adapter and dataset, on those of our servers that listen."""
    adapter = found.get("adapter")
    if not adapter:
        return {}
    links = {}
    settings = services.settings
    if _listens(settings.dagster_port):
        root = f"http://127.0.0.1:{settings.dagster_port}/assets"
        links["dataset"] = f"{root}/datasets/{adapter['dataset']['kind']}?partition={adapter['author']}"
        links["adapter"] = f"{root}/models/{adapter['kind']}_adapter?partition={adapter['author']}"
    if adapter.get("tracking_run") and _listens(settings.mlflow_port):
        links["experiment"] = f"http://127.0.0.1:{settings.mlflow_port}/#/runs/{adapter['tracking_run']}"
    return links


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
    except OSError:
        return False


async def authors(request: Request) -> Response:
    """Authors and their versions."""
    services = _services(request)

    def look() -> list[dict[str, Any]]:
        found = []
        for author in services.settings.authors:
            versions = services.releases.list(author.id)
            champion = next((each.version for each in versions if "champion" in each.aliases), None)
            found.append(
                {
                    "id": author.id,
                    "name": author.name,
                    "champion": champion,
                    "serving": services.engine.champion(author.id),
                    "versions": [
                        {
                            "version": each.version,
                            "kind": each.kind,
                            "aliases": list(each.aliases),
                            "created_at": each.created_at,
                        }
                        for each in versions
                        if not each.retired_because
                    ],
                }
            )
        return found

    return _json(s.AuthorsOut.model_validate({"authors": await run_in_threadpool(look)}))


async def healthz(request: Request) -> Response:
    """Whether the process lives."""
    return _json(s.LiveOut())


async def readyz(request: Request) -> Response:
    """What works and what does not."""
    state = await run_in_threadpool(_services(request).readiness)
    response = _json(s.ReadyOut.model_validate(state), 200 if state["ready"] else 503)
    if not state["ready"]:
        response.headers["Retry-After"] = "3"
    return response


async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    services = _services(request)

    def render() -> bytes:
        state = services.readiness()
        ready = {name: part["ready"] for name, part in state["components"].items()}
        waiting = services.engine.waiting() if ready["database"] else 0
        return services.monitor.render(waiting=waiting, champions=state["champions"], ready=ready)

    return Response(await run_in_threadpool(render), media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """This document."""
    return _json(document())


async def page(request: Request) -> Response:
    """The chat page."""
    return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True)
class Operation:
    """One call: where it is, what handles it, what goes in and comes out."""

    method: str
    path: str
    handler: Handler
    summary: str
    out: type[BaseModel] | str
    """The response model, or its media type where it is no JSON of ours."""
    body: type[BaseModel] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    errors: tuple[int, ...] = ()
    streams: bool = False


OPERATIONS = (
    Operation("POST", "/search", search, "Find passages", s.SearchOut, s.SearchIn, errors=(404, 422, 503)),
    Operation("POST", "/ask", ask, "Ask the twin", s.AskOut, s.AskIn, errors=(404, 422, 502, 503), streams=True),
    Operation(
        "POST",
        "/v1/chat/completions",
        chat,
        "Ask the twin as OpenAI's clients do",
        s.ChatOut,
        s.ChatIn,
        errors=(404, 422, 502, 503),
        streams=True,
    ),
    Operation("GET", "/v1/models", models, "Twins and their versions, as OpenAI's clients list them", s.ModelsOut),
    Operation(
        "POST",
        "/documents",
        add_documents,
        "Add documents of the author",
        s.DocumentsOut,
        s.DocumentsIn,
        errors=(404, 413, 422),
    ),
    Operation(
        "DELETE",
        "/documents/{id}",
        forget_document,
        "Forget a document and all that was derived from it",
        s.ForgottenOut,
        errors=(404,),
    ),
    Operation(
        "POST", "/feedback", give_feedback, "Rate an answer", s.FeedbackOut, s.FeedbackIn, status=202, errors=(404, 422)
    ),
    Operation(
        "GET", "/releases", list_releases, "Adapter versions", s.ReleasesOut, query={"author": "only this author's"}
    ),
    Operation(
        "POST",
        "/releases/{version}/approve",
        approve,
        "Make a version the champion",
        s.ReleaseOut,
        s.DecisionIn,
        errors=(404, 409),
    ),
    Operation(
        "POST", "/releases/rollback", rollback, "Back to the champion before", s.ReleaseOut, s.RollbackIn, errors=(409,)
    ),
    Operation(
        "GET",
        "/lineage",
        lineage,
        "From an answer to its sources, or from a URL to all it touched",
        s.LineageOut,
        query={"url": "of a document", "trace_id": "of an answer"},
        errors=(404, 422),
    ),
    Operation("GET", "/authors", authors, "Authors whose twins are served", s.AuthorsOut),
    Operation("GET", "/healthz", healthz, "Whether the process lives", s.LiveOut),
    Operation("GET", "/readyz", readyz, "What works, and what does not and why", s.ReadyOut, errors=(503,)),
    Operation("GET", "/metrics", metrics, "Prometheus metrics", "text/plain"),
    Operation("GET", "/openapi.json", openapi, "This document", "application/json"),
    Operation("GET", "/", page, "The chat page", "text/html"),
)


def routes() -> list[BaseRoute]:
    """All routes, and the files of the page."""
    found: list[BaseRoute] = [
        Route(operation.path, operation.handler, methods=[operation.method]) for operation in OPERATIONS
    ]
    return [*found, Mount("/page", StaticFiles(directory=PAGE), name="page")]


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    inputs = {operation.body for operation in OPERATIONS if operation.body} | {s.DocumentIn}
    outputs = {operation.out for operation in OPERATIONS if not isinstance(operation.out, str)} | {s.ProblemOut}
    wanted: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(inputs, key=lambda model: model.__name__)),
        *((model, "serialization") for model in sorted(outputs, key=lambda model: model.__name__)),
    ]
    names, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Twin",
            "version": "1",
            "description": "Search an author's work and ask their twin. Errors are RFC 9457 problems, and OpenAI's "
            "error objects under /v1. Every response has its trace id in X-Trace-Id.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "one of TWIN_API_KEYS"}},
        },
        "security": [{}, {"key": []}],
    }


def _described(operation: Operation, names: Mapping[Any, Any]) -> dict[str, Any]:
    if isinstance(operation.out, str):
        kind = "object" if operation.out == "application/json" else "string"
        content: dict[str, Any] = {operation.out: {"schema": {"type": kind}}}
    else:
        content = {"application/json": {"schema": names[(operation.out, "serialization")]}}
    if operation.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "responses": {str(operation.status): {"description": "done", "content": content}},
    }
    problem = {"schema": {"$ref": "#/components/schemas/ProblemOut"}}
    media = "application/json" if operation.path.startswith("/v1/") else "application/problem+json"
    if media == "application/json":
        problem = {"schema": {"type": "object", "properties": {"error": {"type": "object"}}}}
    for status in operation.errors:
        if operation.path == "/readyz":
            described["responses"][str(status)] = {"description": "not ready", "content": content}
        else:
            described["responses"][str(status)] = {"description": "a problem", "content": {media: problem}}
    if operation.body:
        described["requestBody"] = {
            "required": any(part.is_required() for part in operation.body.model_fields.values()),
            "content": {"application/json": {"schema": names[(operation.body, "validation")]}},
        }
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in operation.path.split("/")
        if part.startswith("{")
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    return to_jsonable_python(described)
