"""Adapter versions: where they stand, what was measured of them, and who decides on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from twin_resources.database.shards import of_each
from twin_resources.monitoring.canary import FEWEST, Standing
from twin_resources.storage.artifacts import ArtifactError, ArtifactStore
from twin_resources.storage.calls.arms import arms
from twin_resources.storage.calls.shadows import Shadow, Shadows
from twin_resources.storage.inventory.paging import Part, Place
from twin_resources.storage.releases import DEFAULT_SHARE, Release, ReleaseError
from twin_resources.storage.reports import Report, Reports
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import note_author, paging_of, read, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.routes.releasing.blind_tests import blind_result
from twin_serving.api.schemas.releasing.releases import (
    CanaryFigureOut,
    CanaryIn,
    CanaryOut,
    DecisionIn,
    DecisionOut,
    RejectIn,
    ReleaseOut,
    ReleaseReportOut,
    ReleasesOut,
    ReportOut,
    RollbackIn,
    ShadowOut,
)

_AT_LENGTH = ("curve", "texts")
"""Figures of a training that `/experiments` shows."""
_SHOWN = 6
"""Readers' questions whose answers are shown."""


async def list_releases(request: Request) -> Response:
    """Versions and where they stand."""
    services = services_of(request)
    wanted, paging = request.query_params.get("author"), paging_of(request)
    author = services.author(wanted) if wanted else None

    def look() -> ReleasesOut:
        def here() -> Part[ReleaseOut]:
            found = services.releases.part(author, paging)
            return Part(_described(services, found.items), found.next)

        merged = paging.merge(of_each(services.settings, here), lambda each: Place(each.created_at, each.version))
        return ReleasesOut(releases=list(merged.items), next=merged.next)

    return json_response(await run_in_threadpool(look))


async def release_report(request: Request) -> Response:
    """What was measured of a version, and what was decided."""
    services, version = services_of(request), request.path_params["version"].replace("\x00", "")

    def look() -> ReleaseReportOut:
        found = _known(services, version)
        reports = [each for each in Reports(services.database).of(found.author, version) if each.kind != "gate"]
        return ReleaseReportOut(
            release=_described(services, [found])[0],
            reports=[_report(services, each) for each in reports],
            blind_test=blind_result(services, found),
            canary=_canary(services, found),
            shadow=[ShadowOut.model_validate(each) for each in _shadows(services, found)],
            history=[DecisionOut.model_validate(each) for each in services.releases.history(found.author)],
        )

    return json_response(await run_in_threadpool(look))


def _canary(services: Services, found: Release) -> CanaryOut | None:
    """How a version stands that is on canary."""
    running = services.releases.canary(found.author)
    if running is None or running.version != found.version:
        return None
    standing = Standing.of(running, arms(services.database, found.author, running))
    return CanaryOut(
        since=running.since,
        share=running.share,
        conversations=standing.arms.canary.conversations,
        of_champion=standing.arms.champion.conversations,
        needed=FEWEST,
        figures=[CanaryFigureOut.model_validate(each) for each in standing.figures],
        worse=standing.told(),
    )


def _shadows(services: Services, found: Release) -> Sequence[Shadow]:
    return Shadows(services.database).of(found.author, found.version, _SHOWN)


def _report(services: Services, report: Report) -> ReportOut:
    """The figures of a report; not the pairs of a blind test, which tell whose each text is."""
    figures = {name: value for name, value in report.metrics.items() if name != "pairs"}
    return ReportOut(kind=report.kind, created_at=report.created_at, metrics=figures, plots=_plots(services, report))


async def release_plot(request: Request) -> Response:
    """A plot of a report."""
    services = services_of(request)
    version, kind, name = (request.path_params[each].replace("\x00", "") for each in ("version", "kind", "name"))

    def find() -> FileResponse:
        found = _known(services, version)
        report = Reports(services.database).newest(found.author, kind, version)
        if report is None or name not in _plots(services, report):
            raise Problem(404, "not-found", f"The report {kind} of {version} has no plot {name}.")
        return FileResponse(ArtifactStore.of(services.settings).folder(report.artifact) / name, media_type="image/png")

    return await run_in_threadpool(find)


def _plots(services: Services, report: Report) -> list[str]:
    """The images of a report; none where its files are gone."""
    try:
        return sorted(path.name for path in ArtifactStore.of(services.settings).folder(report.artifact).glob("*.png"))
    except ArtifactError:
        return []


async def approve(request: Request) -> Response:
    """Make a version the champion; it answers within seconds."""
    services = services_of(request)
    body = await read(request, DecisionIn, optional=True)
    version = request.path_params["version"]

    def decide() -> ReleaseOut:
        note_author(request, _known(services, version).author)
        return _described(services, [services.releases.approve(version, by=body.by, comment=body.comment)])[0]

    return json_response(await run_in_threadpool(decide))


async def start_canary(request: Request) -> Response:
    """Let a version answer a share of the conversations; it does so within seconds."""
    services = services_of(request)
    body = await read(request, CanaryIn, optional=True)
    version = request.path_params["version"]
    share = body.share or services.settings.release.canary or DEFAULT_SHARE

    def decide() -> ReleaseOut:
        note_author(request, _known(services, version).author)
        started = services.releases.start_canary(version, share, by=body.by, comment=body.comment)
        return _described(services, [started])[0]

    return json_response(await run_in_threadpool(decide))


async def reject(request: Request) -> Response:
    """Decide against a version, with the reason."""
    services = services_of(request)
    body = await read(request, RejectIn)
    version = request.path_params["version"]

    def decide() -> ReleaseOut:
        note_author(request, _known(services, version).author)
        return _described(services, [services.releases.reject(version, by=body.by, comment=body.comment)])[0]

    return json_response(await run_in_threadpool(decide))


async def rollback(request: Request) -> Response:
    """Go back to the champion before."""
    services = services_of(request)
    body = await read(request, RollbackIn, optional=True)
    author = services.author(body.author)
    note_author(request, author)

    def decide() -> ReleaseOut:
        return _described(services, [services.releases.rollback(author, by=body.by, comment=body.comment)])[0]

    return json_response(await run_in_threadpool(decide))


def _known(services: Services, version: str) -> Release:
    try:
        return services.releases.get(version)
    except ReleaseError as error:
        raise Problem(404, "unknown-version", str(error)) from None


def _described(services: Services, found: Sequence[Release]) -> list[ReleaseOut]:
    decisions = services.releases.decisions([each.version for each in found])
    return [
        ReleaseOut.model_validate(
            {
                **asdict(each),
                "metrics": {name: value for name, value in each.metrics.items() if name not in _AT_LENGTH},
                "aliases": list(each.aliases),
                "passed": each.passed,
                "serving": services.engine.serves(each.author, each.version),
                "problem": services.engine.hindrance(each.author, each.version),
                "decision": decisions.get(each.version),
            }
        )
        for each in found
    ]


OPERATIONS = (
    Operation(
        "GET",
        "/releases",
        list_releases,
        "Adapter versions",
        ReleasesOut,
        query={"author": "only this author's"},
        errors=(404, 422),
        paged=True,
    ),
    Operation(
        "GET",
        "/releases/{version}/report",
        release_report,
        "What was measured of a version, and what was decided",
        ReleaseReportOut,
        errors=(404,),
        needs="author",
    ),
    Operation(
        "GET",
        "/releases/{version}/plots/{kind}/{name}",
        release_plot,
        "A plot of a report",
        "image/png",
        errors=(404,),
        needs="author",
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
        "/releases/{version}/canary",
        start_canary,
        "Let a version answer a share of the conversations",
        ReleaseOut,
        CanaryIn,
        errors=(404, 409),
        needs="author",
        writes=True,
    ),
    Operation(
        "POST",
        "/releases/{version}/reject",
        reject,
        "Decide against a version, with the reason",
        ReleaseOut,
        RejectIn,
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
