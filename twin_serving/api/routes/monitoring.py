"""How an author's twin does, and who knows of what is wrong."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.monitoring.gaps import MOST, Gap, gaps
from twin_resources.monitoring.summary import summarise
from twin_resources.rag.answer import GROUNDED
from twin_resources.storage.alerts import AlertError
from twin_resources.storage.calls.usage import Span
from twin_serving.answering.errors import NotReady
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation, Whole
from twin_serving.api.problems import Problem
from twin_serving.api.requests import services_of, whole_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.monitoring import AlertOut, GapOut, MonitoringOut

_DAYS = Whole("how many days, today (UTC) included; `monitoring.window_days` by default", 1, 365)


async def monitoring(request: Request) -> Response:
    """How the twin of an author did, and what is wrong."""
    services = services_of(request)
    author = services.author(request.query_params.get("author"))
    rules = services.settings.monitoring
    days = whole_of(request, "days", _DAYS, rules.window_days)

    def look() -> MonitoringOut:
        found = summarise(services.usage, Span.of_days(author, days), rules)
        vain = _gaps(services, found.span)
        return MonitoringOut.model_validate(
            {
                "author": author,
                "days": days,
                "since": found.span.since,
                "until": found.span.until,
                "totals": found.totals,
                "by_day": found.by_day,
                "latency": found.latency,
                "speakers": found.speakers,
                "drift": found.drift,
                "gaps": None if vain is None else [GapOut.model_validate(each) for each in vain],
                "alarms": list(found.alarms),
                "alerts": services.alerts.list(author=author),
            },
            from_attributes=True,
        )

    return json_response(await run_in_threadpool(look))


def _gaps(services: Services, span: Span) -> list[Gap] | None:
    try:
        embedder = services.rag.embedder
    except NotReady:
        return None
    return gaps(services.usage.unanswered(span, below=GROUNDED, limit=MOST), embedder.encode_questions)


async def acknowledge(request: Request) -> Response:
    """End the reminders of an alert; repeating it changes nothing."""
    services, asked = services_of(request), request.path_params["alert_id"]
    if not re.fullmatch(r"[0-9]{1,18}", asked):
        raise _unknown(asked)

    def note() -> AlertOut:
        try:
            return AlertOut.model_validate(services.alerts.acknowledge(int(asked), by=request.state.grant.name))
        except AlertError:
            raise _unknown(asked) from None

    return json_response(await run_in_threadpool(note))


def _unknown(alert_id: str) -> Problem:
    return Problem(404, "unknown-alert", f"No alert {alert_id} is open; `GET /monitoring` lists those that are.")


OPERATIONS = (
    Operation(
        "GET",
        "/monitoring",
        monitoring,
        "How the twin of an author did, and what is wrong",
        MonitoringOut,
        query={"author": "whose twin; may be left out where one author is configured", "days": _DAYS},
        errors=(404, 422),
        needs="author",
    ),
    Operation(
        "POST",
        "/monitoring/alerts/{alert_id}/acknowledge",
        acknowledge,
        "End the reminders of an alert",
        AlertOut,
        errors=(404,),
        needs="author",
    ),
)
