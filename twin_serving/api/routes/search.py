"""Finding passages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.calls.interactions import Outcome
from twin_resources.telemetry.calls import Call
from twin_serving.answering.results import results_of
from twin_serving.answering.services import Services
from twin_serving.answering.tracing import began, found_passages
from twin_serving.api.operations import Operation
from twin_serving.api.requests import read, services_of, trace_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.search import SearchIn, SearchOut


async def search(request: Request) -> Response:
    """Find passages."""
    services = services_of(request)
    body = await read(request, SearchIn)
    return json_response(await found_in_turn(services, body, trace_of(request)))


async def found_in_turn(services: Services, body: SearchIn, trace: str) -> SearchOut:
    """What :func:`find` finds, once there is a place for it.

    Raises:
        Busy: it would wait too long.
    """

    def foresee() -> None:
        if body.mode != "lexical":
            services.foresee(body.author, body.query)

    return await services.searches.run(find, services, body, trace, waits=foresee)


def find(services: Services, body: SearchIn, trace: str) -> SearchOut:
    """The passages, and the record of the search."""
    author = services.author(body.author)
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
        outcome=Outcome(found=len(found.hits)),
    )
    if services.traces:
        services.traces.export(
            Call(
                trace_id=trace,
                author=author,
                name="search",
                began=began(found.timings_ms.get("total", 0.0)),
                timings_ms={f"search_{name}": value for name, value in found.timings_ms.items()},
                query=body.query,
                found=found_passages(found.hits),
            )
        )
    return SearchOut.model_validate({**results_of(found), "trace_id": trace})


OPERATIONS = (Operation("POST", "/search", search, "Find passages", SearchOut, SearchIn, errors=(404, 422, 503)),)
