"""Every call, in the order in which the OpenAPI document lists them."""

from __future__ import annotations

import functools
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from twin_serving.api.operations import Handler, Operation
from twin_serving.api.problems import Problem
from twin_serving.api.routes import answers, authors, chat, documents, feedback, health, lineage, releases, search

OPERATIONS = (
    *search.OPERATIONS,
    *answers.OPERATIONS,
    *chat.OPERATIONS,
    *documents.OPERATIONS,
    *feedback.OPERATIONS,
    *releases.OPERATIONS,
    *lineage.OPERATIONS,
    *authors.OPERATIONS,
    *health.OPERATIONS,
)


def _granted(operation: Operation) -> Handler:
    """The handler, for keys that may call it. A key that may not is told so before anything is looked up."""

    @functools.wraps(operation.handler)
    async def checked(request: Request) -> Response:
        if not operation.open and not request.state.grant.covers(operation.needs):
            raise Problem(403, "not-allowed", f"This key may not do this; it takes one of kind {operation.needs}.")
        return await operation.handler(request)

    return checked


def routes() -> list[BaseRoute]:
    """All routes, and the files of the page."""
    found: list[BaseRoute] = [
        Route(operation.path, _granted(operation), methods=[operation.method]) for operation in OPERATIONS
    ]
    return [*found, Mount("/page", StaticFiles(directory=Path(__file__).parent / "page"), name="page")]
