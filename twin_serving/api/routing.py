"""Every call, in the order in which the OpenAPI document lists them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from twin_resources.database.shards import speak_of
from twin_serving.api.idempotency import once
from twin_serving.api.operations import Handler, Operation
from twin_serving.api.pages import BY_PATH, FOLDER
from twin_serving.api.problems import Problem, problem_of
from twin_serving.api.requests import services_of, wants_page
from twin_serving.api.responses import page_response
from twin_serving.api.routes import (
    authors,
    datasets,
    documents,
    health,
    lineage,
    monitoring,
    review,
    scoring,
    search,
    sources,
)
from twin_serving.api.routes.asking import answers, chat, conversations, feedback
from twin_serving.api.routes.releasing import blind_tests, experiments, releases

OPERATIONS = (
    *search.OPERATIONS,
    *answers.OPERATIONS,
    *conversations.OPERATIONS,
    *chat.OPERATIONS,
    *documents.OPERATIONS,
    *sources.OPERATIONS,
    *scoring.OPERATIONS,
    *feedback.OPERATIONS,
    *releases.OPERATIONS,
    *experiments.OPERATIONS,
    *blind_tests.OPERATIONS,
    *monitoring.OPERATIONS,
    *lineage.OPERATIONS,
    *datasets.OPERATIONS,
    *review.OPERATIONS,
    *authors.OPERATIONS,
    *health.OPERATIONS,
)


_BY_ID = ("/lineage", "/feedback")
"""Calls that name something by its id outside of their path."""


def _looked_for(handler: Handler) -> Handler:
    """The handler of a call that names no author, in the database which has what it names."""

    async def found(request: Request) -> Response:
        services = services_of(request)
        speakers = await run_in_threadpool(services.in_each_database)
        for author in speakers[:-1]:
            speak_of(author)
            try:
                return await handler(request)
            except Exception as error:
                if problem_of(error).status != 404:
                    raise
        if speakers:
            speak_of(speakers[-1])
        return await handler(request)

    return found


def _granted(operation: Operation) -> Handler:
    """The handler, for keys that may call it. A key that may not is told so before anything is looked up."""

    page = BY_PATH.get(operation.path) if operation.method == "GET" else None
    handler = _looked_for(operation.handler) if "{" in operation.path or operation.path in _BY_ID else operation.handler

    @functools.wraps(operation.handler)
    async def checked(request: Request) -> Response:
        if page and page.data and wants_page(request.headers):
            return page_response(page.path)
        if not operation.open and not request.state.grant.covers(operation.needs):
            raise Problem(403, "not-allowed", f"This key may not do this; it takes one of kind {operation.needs}.")
        return await (once(request, handler) if operation.writes else handler(request))

    return checked


def _route(path: str, operations: Sequence[Operation]) -> Route:
    """All methods of a path in one route, so that a method it does not take is told every one that it does."""
    handlers = {operation.method: _granted(operation) for operation in operations}

    async def call(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, call, methods=list(handlers))


def routes() -> list[BaseRoute]:
    """All routes, and the files of the page."""
    paths: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, []).append(operation)
    found: list[BaseRoute] = [_route(path, operations) for path, operations in paths.items()]
    return [*found, Mount("/page", StaticFiles(directory=FOLDER), name="page")]
