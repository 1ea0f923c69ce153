"""Where traces go: a collector that speaks OTLP over HTTP, and MLflow, where they lie beside an author's trainings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import httpx
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from twin_resources.telemetry.calls import AUTHOR, EXPERIMENT

log = logging.getLogger(__name__)
_SECONDS = 5.0
_EXPERIMENTS = "/api/2.0/mlflow/experiments"


def otlp(endpoint: str, headers: Mapping[str, str] | None = None) -> SpanExporter:
    """An exporter to ``endpoint``, the whole address of a collector's traces."""
    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)  # it tells each failure; Steady once
    session = requests.Session()
    session.trust_env = False
    return OTLPSpanExporter(endpoint=endpoint, headers=dict(headers or {}), timeout=_SECONDS, session=session)


class Mlflow(SpanExporter):
    """Sends the spans of each author to their experiment.

    Args:
        address: of MLflow's server.
        artifacts: the URI below which an experiment that is missing keeps its files.
        key: gives the key that the server asks for; called when the first spans are sent.
    """

    def __init__(self, address: str, artifacts: str, key: Callable[[], str | None]) -> None:
        self._address = address
        self._artifacts = artifacts
        self._key = key
        self._exporters: dict[str, SpanExporter] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; see the base class."""

        def author_of(span: ReadableSpan) -> str:
            return str((span.attributes or {}).get(AUTHOR, ""))

        done = SpanExportResult.SUCCESS
        for author, theirs in groupby(sorted(spans, key=author_of), author_of):
            try:
                sent = self._exporter(author).export(list(theirs))
            except httpx.HTTPError:
                sent = SpanExportResult.FAILURE
            if sent is SpanExportResult.FAILURE:
                self._exporters.pop(author, None)  # the experiment may be another one when the server is back
                done = sent
        return done

    def shutdown(self) -> None:
        """Close the connections."""
        for each in self._exporters.values():
            each.shutdown()

    def _exporter(self, author: str) -> SpanExporter:
        if author not in self._exporters:
            key = self._key()
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            with httpx.Client(base_url=self._address, headers=headers, timeout=_SECONDS, trust_env=False) as client:
                headers["x-mlflow-experiment-id"] = self._experiment(client, EXPERIMENT.format(author=author))
            self._exporters[author] = otlp(f"{self._address}/v1/traces", headers)
        return self._exporters[author]

    def _experiment(self, client: httpx.Client, name: str) -> str:
        """The id of an experiment, which is made where there is none."""
        found = client.get(f"{_EXPERIMENTS}/get-by-name", params={"experiment_name": name})
        if found.status_code == httpx.codes.NOT_FOUND:
            wanted = {"name": name, "artifact_location": f"{self._artifacts}/{name}"}
            return str(client.post(f"{_EXPERIMENTS}/create", json=wanted).raise_for_status().json()["experiment_id"])
        return str(found.raise_for_status().json()["experiment"]["experiment_id"])


class Steady(SpanExporter):
    """Says once that a place does not take traces, and once that it takes them again; an exporter that fails in any way
    costs no more than its spans."""

    def __init__(self, name: str, exporter: SpanExporter) -> None:
        self._name = name
        self._exporter = exporter
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; see the base class."""
        try:
            done = self._exporter.export(spans)
        except Exception:
            log.debug("traces were not sent to %s", self._name, exc_info=True)
            done = SpanExportResult.FAILURE
        failed = done is SpanExportResult.FAILURE
        if failed != self._failed:
            self._failed = failed
            if failed:
                log.warning("%s takes no traces; answers go on without them", self._name)
            else:
                log.info("%s takes traces again", self._name)
        return done

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()
