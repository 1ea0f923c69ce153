"""An author's trainings side by side."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.training.experiments import Experiments, NoExperiment, differences
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import paging_of, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.releasing.experiments import DifferenceOut, ExperimentOut, ExperimentsOut

MOST_COMPARED = 20


async def list_experiments(request: Request) -> Response:
    """Trainings of one author, or those that are named, and in what they differ."""
    services, paging = services_of(request), paging_of(request)
    author = services.author(request.query_params.get("author"))
    named = [each for each in request.query_params.get("versions", "").replace("\x00", "").split(",") if each]
    if len(named) > MOST_COMPARED:
        raise Problem(422, "wrong-input", f"versions: takes at most {MOST_COMPARED}.")

    def look() -> ExperimentsOut:
        store, after = Experiments(services.database), None
        if named:
            try:
                found = store.named(author, named)
            except NoExperiment as error:
                raise Problem(404, "unknown-version", str(error)) from None
        else:
            part = store.part(author, paging)
            found, after = part.items, part.next
        return ExperimentsOut(
            experiments=[ExperimentOut.model_validate(each) for each in found],
            differences=[DifferenceOut(name=name, values=list(each)) for name, each in differences(found).items()],
            next=after,
        )

    return json_response(await run_in_threadpool(look))


OPERATIONS = (
    Operation(
        "GET",
        "/experiments",
        list_experiments,
        "Trainings of an author side by side",
        ExperimentsOut,
        query={
            "author": "whose; the only one, or the first, without it",
            "versions": "only these, separated by commas, in this order",
        },
        errors=(404, 422),
        needs="author",
        paged=True,
    ),
)
