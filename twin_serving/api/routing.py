"""Every call, in the order in which the OpenAPI document lists them."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

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


def routes() -> list[BaseRoute]:
    """All routes, and the files of the page."""
    found: list[BaseRoute] = [
        Route(operation.path, operation.handler, methods=[operation.method]) for operation in OPERATIONS
    ]
    return [*found, Mount("/page", StaticFiles(directory=Path(__file__).parent / "page"), name="page")]
