"""From an answer back to its sources, and from a URL to all it touched."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage import lineage as records
from twin_resources.text.urls import canonical_url
from twin_serving.answering.services import Services
from twin_serving.api.operations import Operation
from twin_serving.api.problems import Problem
from twin_serving.api.requests import services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.lineage import LineageOut


async def lineage(request: Request) -> Response:
    """From an answer or a sample back to its sources, or from a URL to all it touched."""
    services = services_of(request)
    url, trace, sample = (request.query_params.get(name) for name in ("url", "trace_id", "sample_id"))
    if sum(each is not None for each in (url, trace, sample)) != 1:
        raise Problem(422, "wrong-input", "Give exactly one of `url`, `trace_id` and `sample_id`.")

    def look() -> dict[str, Any]:
        if sample is not None:
            found = records.of_sample(services.database, sample.replace("\x00", ""))
        elif trace is not None:
            found = records.of_trace(services.database, trace.replace("\x00", ""))
        else:
            found = records.of_url(services.database, _canonical(url or ""))
        return {**found, "links": _links(services, found)}

    return json_response(await run_in_threadpool(look))


def _canonical(url: str) -> str:
    try:
        return canonical_url(url.replace("\x00", ""))
    except ValueError as error:
        raise records.LineageError(f"no document has such a URL: {error}") from None


def _links(services: Services, found: Mapping[str, Any]) -> dict[str, str]:
    """Pages about an answer's adapter and dataset, on those of our servers that listen."""
    adapter = found.get("adapter")
    if not adapter:
        return {}
    links = {}
    settings = services.settings
    if _listens(settings.dagster_port):
        root = f"http://127.0.0.1:{settings.dagster_port}/assets"
        links["dataset"] = f"{root}/datasets/{adapter['dataset']['kind']}?partition={adapter['author']}"
        links["adapter"] = f"{root}/models/{adapter['kind']}_adapter?partition={adapter['author']}"
    if adapter.get("tracking_run") and _listens(settings.mlflow_port):
        links["experiment"] = f"http://127.0.0.1:{settings.mlflow_port}/#/runs/{adapter['tracking_run']}"
    return links


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
    except OSError:
        return False


OPERATIONS = (
    Operation(
        "GET",
        "/lineage",
        lineage,
        "From an answer or a sample to its sources, or from a URL to all it touched",
        LineageOut,
        query={"url": "of a document", "trace_id": "of an answer", "sample_id": "of a sample of a dataset"},
        one_of_query=True,
        errors=(404, 422),
    ),
)
