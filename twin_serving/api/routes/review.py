"""Reviewing the samples of the newest dataset version: what there is, what a person decides, and the page for it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.reviewing.queue import Wanted, next_version
from twin_serving.api.operations import Operation
from twin_serving.api.requests import note_author, read, services_of
from twin_serving.api.responses import json_response, page_response
from twin_serving.api.schemas.review import ProgressOut, ReviewedOut, ReviewIn, SampleOut, SamplesOut

_FILTERS = ("split", "kind", "check", "state", "after")


async def review_page(request: Request) -> Response:
    """The page for reviewing samples."""
    return page_response("/review")


async def review_samples(request: Request) -> Response:
    """Samples of the newest dataset version, with what was decided on them."""
    services = services_of(request)
    author = services.author(request.query_params.get("author"))
    wanted = Wanted(**{name: request.query_params.get(name, "") for name in _FILTERS})
    found = await run_in_threadpool(lambda: services.reviewing.page(author, wanted))
    return json_response(
        SamplesOut(
            author=author,
            version=found.version.id if found.version else None,
            created_at=found.version.created_at if found.version else None,
            next_version=next_version(author),
            progress=ProgressOut.model_validate(found.progress),
            kinds=dict(found.kinds),
            checks=dict(found.checks),
            matching=found.matching,
            samples=[SampleOut.model_validate(each) for each in found.samples],
            more=found.more,
        )
    )


async def review_sample(request: Request) -> Response:
    """Accept, reject or edit a sample."""
    services = services_of(request)
    body = await read(request, ReviewIn)
    author, sample_id = services.author(body.author), request.path_params["sample_id"]
    note_author(request, author)
    by = request.state.grant.name

    def decide() -> ReviewedOut:
        queue = services.reviewing
        sample = queue.decide(author, sample_id, verdict=body.verdict, by=by, answer=body.answer)
        return ReviewedOut(
            sample=SampleOut.model_validate(sample), progress=ProgressOut.model_validate(queue.progress(author))
        )

    return json_response(await run_in_threadpool(decide))


OPERATIONS = (
    Operation("GET", "/review", review_page, "The page for reviewing samples", "text/html", open=True),
    Operation(
        "GET",
        "/review/samples",
        review_samples,
        "Samples of the newest dataset version, with what was decided on them",
        SamplesOut,
        query={
            "author": "whose samples; may be left out where one author is configured",
            "split": "train, validation or test",
            "kind": "one of `kinds`",
            "check": "one of `checks`; flagged: whatever check it is",
            "state": "unreviewed, accepted, rejected or edited",
            "after": "id of the last sample of the page before",
        },
        errors=(404, 422),
        needs="author",
    ),
    Operation(
        "POST",
        "/review/{sample_id}",
        review_sample,
        "Accept, reject or edit a sample",
        ReviewedOut,
        ReviewIn,
        errors=(404,),
        needs="author",
        writes=True,
    ),
)
