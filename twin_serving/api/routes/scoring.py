"""How much a draft sounds like its author, and the page that shows it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.requests import read, services_of
from twin_serving.api.responses import json_response, page_response
from twin_serving.api.schemas.scoring import ScoreIn, ScoreOut


async def score(request: Request) -> Response:
    """How much a draft sounds like its author."""
    services = services_of(request)
    body = await read(request, ScoreIn)
    return json_response(await run_in_threadpool(judge, services, body))


def judge(services: Services, body: ScoreIn) -> ScoreOut:
    """The verdict on a draft.

    Raises:
        StyleError: the author wrote too little, or in another language than English.
        DraftError: the draft is too short.
    """
    author = services.author(body.author)
    return ScoreOut.model_validate(services.scoring.score(services.database, services.rag, author, body.text))


async def score_page(request: Request) -> Response:
    """The page to put a draft in."""
    return page_response("/score")


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
