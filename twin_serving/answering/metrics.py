"""What the API tells about itself: Prometheus metrics, and a record of every question and answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from twin_resources.database.replica import Server
from twin_resources.storage.calls.interactions import Interactions

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)


class Monitor:
    """Metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        self.requests = counter("twin_requests", "Requests by route and status", "route", "method", "status")
        self.errors = counter("twin_errors", "Requests that failed, by the kind of problem", "route", "kind")
        self.tokens = counter("twin_tokens", "Tokens read and written", "author", "direction")
        self.answers = counter("twin_answers", "Answers by model and whether a passage supports them", *_ANSWER)
        self.ratings = counter("twin_feedback", "Ratings of answers", "rating")
        self.unrecorded = counter("twin_unrecorded", "Interactions that could not be stored")
        self.reads = counter("twin_reads", "Connections to search with, by the server that they are of", "server")
        self.latency = Histogram(
            "twin_request_seconds",
            "Time to the end of the response",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "twin_stage_seconds", "Time by stage of a call", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self.waiting = Gauge("twin_queue", "Answers being written or waiting", registry=self.registry)
        self.champion = Gauge(
            "twin_champion_info", "Which adapter answers for an author", ["author", "version"], registry=self.registry
        )
        self.ready = Gauge("twin_ready", "1 where a component is ready", ["component"], registry=self.registry)

    def seen(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one finished request."""
        self.requests.labels(route, method, str(status)).inc()
        self.latency.labels(route).observe(seconds)

    def read_from(self, server: Server) -> None:
        """Count one connection of the replica, or of the primary in its place."""
        self.reads.labels(server).inc()

    def timed(self, timings_ms: Mapping[str, float]) -> None:
        """Add the stages of one call."""
        for stage, milliseconds in timings_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1000)

    def record(self, interactions: Interactions, trace_id: str, **call: Any) -> None:
        """Store a call; a failure to do so is logged and counted, and costs the reader nothing."""
        self.timed(call.get("timings_ms") or {})
        try:
            interactions.record(trace_id, **call)
        except Exception:
            self.unrecorded.inc()
            log.exception("the interaction %s was not stored", trace_id)

    def render(self, *, waiting: int, versions: Mapping[str, str], ready: Mapping[str, bool]) -> bytes:
        """All metrics in Prometheus' text format.

        Args:
            waiting: answers that are being written or wait.
            versions: the adapter that answers, by author.
            ready: by component.
        """
        self.waiting.set(waiting)
        self.champion.clear()
        for author, version in versions.items():
            self.champion.labels(author, version).set(1)
        for component, is_ready in ready.items():
            self.ready.labels(component).set(is_ready)
        return generate_latest(self.registry)


_ANSWER = ("author", "version", "grounded")
