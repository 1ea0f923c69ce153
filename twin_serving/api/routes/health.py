"""Whether the API lives and works, what it is, and the chat page."""

from __future__ import annotations

from dataclasses import asdict, replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_serving.answering.engine import BASE
from twin_serving.answering.metrics import CONTENT_TYPE
from twin_serving.api.openapi import document
from twin_serving.api.operations import Operation
from twin_serving.api.requests import services_of
from twin_serving.api.responses import json_response, page_response
from twin_serving.api.schemas.base import Out
from twin_serving.api.schemas.health import LiveOut, ReadyOut, SearchOut


async def healthz(request: Request) -> Response:
    """Whether the process lives."""
    return json_response(LiveOut())


async def ready(request: Request) -> Response:
    """Whether to send requests here; for a load balancer, which has no key."""
    state = await run_in_threadpool(services_of(request).readiness)
    return _by_state(SearchOut(ready=state.ready), ready=state.ready)


async def readyz(request: Request) -> Response:
    """What works and what does not; where the engines are is for administrators."""
    state = await run_in_threadpool(services_of(request).readiness)
    if not request.state.grant.covers("admin"):
        state = replace(state, engines=())
    return _by_state(ReadyOut.model_validate(asdict(state)), ready=state.ready)


def _by_state(body: Out, *, ready: bool) -> Response:
    response = json_response(body, 200 if ready else 503)
    if not ready:
        response.headers["Retry-After"] = "3"
    return response


async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    services = services_of(request)

    def render() -> bytes:
        state = services.readiness()
        ready = {name: part.ready for name, part in state.components.items()}
        waiting = services.engine.waiting() if ready["database"] else 0
        versions = {author: served.version or BASE for author, served in state.champions.items()}
        return services.monitor.render(waiting=waiting, versions=versions, ready=ready)

    return Response(await run_in_threadpool(render), media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """This document."""
    several = len(services_of(request).authors) != 1
    return json_response(document(request.app.state.operations, author_needed=several))


async def page(request: Request) -> Response:
    """The chat page."""
    return page_response("/")


OPERATIONS = (
    Operation("GET", "/healthz", healthz, "Whether the process lives", LiveOut, open=True),
    Operation("GET", "/healthz/ready", ready, "Whether searches are answered", SearchOut, errors=(503,), open=True),
    Operation("GET", "/readyz", readyz, "What works, and what does not and why", ReadyOut, errors=(503,)),
    Operation("GET", "/metrics", metrics, "Prometheus metrics", "text/plain", needs="admin"),
    Operation("GET", "/openapi.json", openapi, "This document", "application/json"),
    Operation("GET", "/", page, "The chat page", "text/html", open=True),
)
