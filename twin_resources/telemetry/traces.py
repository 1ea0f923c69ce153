"""Traces of calls, written beside the answers and never in their way."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from twin_resources.telemetry.calls import Call, write_spans
from twin_resources.telemetry.exporters import Steady

log = logging.getLogger(__name__)
WAITING = 1000
"""Calls that may wait to be written as spans; further ones are left out."""
_SPANS = 2048
_ENDING_SECONDS = 3.0


class Traces:
    """Takes calls at once and sends their spans later, in threads of its own.

    Args:
        exporters: where to, by the name a person is told when a place takes none.
        share: of the calls, by their trace id, in [0, 1].
        text: whether questions, prompts and answers are told, or only figures.
        seconds: after which spans are sent, as far as they have not filled a batch before.
    """

    def __init__(
        self, exporters: Mapping[str, SpanExporter], *, share: float = 1.0, text: bool = True, seconds: float = 2.0
    ) -> None:
        self._ids = _GivenIds()
        self._text = text
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(share),
            id_generator=self._ids,
            resource=Resource.create({"service.name": "llm-twin"}),
            shutdown_on_exit=False,
        )
        for name, exporter in exporters.items():
            self._provider.add_span_processor(
                BatchSpanProcessor(Steady(name, exporter), max_queue_size=_SPANS, schedule_delay_millis=seconds * 1000)
            )
        self._tracer = self._provider.get_tracer("llm-twin")
        self._calls: queue.Queue[Call | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="traces", daemon=True)
        self._thread.start()
        self.left_out = 0
        """Calls that came while too many waited."""

    def export(self, call: Call) -> None:
        """Take a call; returns at once, and raises nothing."""
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self.left_out += 1

    def close(self) -> None:
        """Send what waits, for at most some seconds."""
        try:
            self._calls.put(None, timeout=_ENDING_SECONDS)
        except queue.Full:
            return
        self._thread.join(_ENDING_SECONDS)
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(_ENDING_SECONDS)

    def _write(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._ids.given = int(call.trace_id, 16)
                write_spans(self._tracer, call, text=self._text)
            except Exception:
                log.exception("the call %s was not traced", call.trace_id)


class _GivenIds(RandomIdGenerator):
    """The id of a trace is that of its call, so that one leads to the other."""

    given = 0

    def generate_trace_id(self) -> int:
        """The id of the call at hand."""
        return self.given
