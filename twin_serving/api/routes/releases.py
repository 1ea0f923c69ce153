"""Adapter versions: where they stand, and who decides on them."""

from __future__ import annotations

from dataclasses import asdict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.releases import Release, ReleaseError
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import note_author, read, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.releases import DecisionIn, ReleaseOut, ReleasesOut, RollbackIn


async def list_releases(request: Request) -> Response:
    """Versions and where they stand."""
    services = services_of(request)
    wanted = request.query_params.get("author")
    author = services.author(wanted) if wanted else None
    found = await run_in_threadpool(lambda: services.releases.list(author))
    return json_response(ReleasesOut(releases=[_described(services, each) for each in found]))


async def approve(request: Request) -> Response:
    """Make a version the champion; it answers within seconds."""
    services = services_of(request)
    body = await read(request, DecisionIn, optional=True)
    version = request.path_params["version"]

    def decide() -> Release:
        try:
            services.releases.get(version)
        except ReleaseError as error:
            raise Problem(404, "unknown-version", str(error)) from None
        return services.releases.approve(version, by=body.by, comment=body.comment)

    found = await run_in_threadpool(decide)
    note_author(request, found.author)
    return json_response(_described(services, found))


async def rollback(request: Request) -> Response:
    """Go back to the champion before."""
    services = services_of(request)
    body = await read(request, RollbackIn, optional=True)
    author = services.author(body.author)
    note_author(request, author)
    found = await run_in_threadpool(lambda: services.releases.rollback(author, by=body.by, comment=body.comment))
    return json_response(_described(services, found))


def _described(services: Services, found: Release) -> ReleaseOut:
    return ReleaseOut.model_validate(
        {
            **asdict(found),
            "aliases": list(found.aliases),
            "passed": found.passed,
            "serving": services.engine.champion(found.author) == found.version,
        }
    )


OPERATIONS = (
    Operation(
        "GET",
        "/releases",
        list_releases,
        "Adapter versions",
        ReleasesOut,
        query={"author": "only this author's"},
        errors=(404,),
    ),
    Operation(
        "POST",
        "/releases/{version}/approve",
        approve,
        "Make a version the champion",
        ReleaseOut,
        DecisionIn,
        errors=(404, 409),
        needs="author",
        writes=True,
    ),
    Operation(
        "POST",
        "/releases/rollback",
        rollback,
        "Back to the champion before",
        ReleaseOut,
        RollbackIn,
        errors=(404, 409),
        needs="author",
        writes=True,
    ),
)
