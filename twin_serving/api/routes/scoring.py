"""How much a draft sounds like its author, and the page that shows it."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_serving.api.operations import Operation
from twin_serving.api.requests import read, services_of
from twin_serving.api.responses import json_response, page_response
from twin_serving.api.schemas.scoring import ScoreIn, ScoreOut


async def score(request: Request) -> Response:
    """How much a draft sounds like its author."""
    services = services_of(request)
    body = await read(request, ScoreIn)
    author = services.author(body.author)

    def judge() -> dict[str, Any]:
        return services.scoring.score(services.database, services.rag, author, body.text)

    return json_response(ScoreOut.model_validate(await run_in_threadpool(judge)))


async def score_page(request: Request) -> Response:
    """The page to put a draft in."""
    return page_response("score.html")


OPERATIONS = (
    Operation(
        "POST",
        "/score",
        score,
        "How much a draft sounds like its author",
        ScoreOut,
        ScoreIn,
        errors=(404, 409, 422, 503),
    ),
    Operation("GET", "/score", score_page, "The page to put a draft in", "text/html", open=True),
)
