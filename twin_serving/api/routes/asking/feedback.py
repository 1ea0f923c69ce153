"""Rating answers."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_serving.api.operations import Operation
from twin_serving.api.requests import note_author, read, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.feedback import FeedbackIn, FeedbackOut


async def give_feedback(request: Request) -> Response:
    """Rate an answer."""
    services = services_of(request)
    body = await read(request, FeedbackIn)
    author = await run_in_threadpool(
        lambda: services.interactions.feedback(body.trace_id, body.rating, body.comment, body.correction)
    )
    note_author(request, author)
    services.monitor.ratings.labels(body.rating).inc()
    return json_response(FeedbackOut(trace_id=body.trace_id), 202)


OPERATIONS = (
    Operation(
        "POST",
        "/feedback",
        give_feedback,
        "Rate an answer",
        FeedbackOut,
        FeedbackIn,
        status=202,
        errors=(404, 422),
        writes=True,
    ),
)
