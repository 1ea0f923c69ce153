"""Calls as traces: what they tell, that they reach a collector, and that none is missed where there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from twin_resources.telemetry import exporters, traces
from twin_resources.telemetry.calls import AUTHOR, Call, Found, Turn
from twin_resources.telemetry.traces import Traces

CALL = Call(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    author="ada",
    name="ask",
    began=1_800_000_000.0,
    timings_ms={"search_total": 40.0, "search_evidence": 10.0, "first_token": 120.0, "generate": 300.0, "total": 400.0},
    query="Where do clocks stop? Write to ada@skarvik.no",
    searched_for="where do clocks stop",
    found=(Found("c1", "https://ada.example/clocks", 0.9, {"dense": 0.7}),),
    turns=(Turn("system", "Answer as Ada."), Turn("user", "Where do clocks stop?")),
    answer="At the quay.",
    mode="generate",
    because="it holds a licence",
    support=1.0,
    base="tiny",
    version="ada-2",
    usage={"prompt_tokens": 12, "completion_tokens": 4},
)


def told(call: Call, **options: object) -> dict[str, ReadableSpan]:
    """The spans of a call by name."""
    kept = InMemorySpanExporter()
    told_to = Traces({"memory": kept}, **options)  # pyright: ignore[reportArgumentType]
    told_to.export(call)
    told_to.close()
    return {span.name: span for span in kept.get_finished_spans()}


def test_a_call_is_one_trace_of_its_own_id_with_search_and_model_below_it() -> None:
    spans = told(CALL)
    assert set(spans) == {"ask", "retrieval", "chat ada-2"}
    ask, found, model = (spans[name] for name in ("ask", "retrieval", "chat ada-2"))
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {CALL.trace_id}
    assert found.parent is not None
    assert model.parent is not None
    assert {found.parent.span_id, model.parent.span_id} == {ask.context.span_id}
    took = {span.name: (span.end_time - span.start_time) / 1e6 for span in spans.values()}  # pyright: ignore
    assert took == pytest.approx({"ask": 400.0, "retrieval": 50.0, "chat ada-2": 300.0})
    said = dict(model.attributes or {})
    assert (said["gen_ai.operation.name"], said["gen_ai.request.model"]) == ("chat", "ada-2")
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (12, 4)
    assert json.loads(str(said["gen_ai.input.messages"]))[0]["parts"][0]["content"] == "Answer as Ada."
    documents = json.loads(str((found.attributes or {})["gen_ai.retrieval.documents"]))
    assert documents == [{"id": "c1", "url": "https://ada.example/clocks", "score": 0.9, "dense": 0.7}]
    assert (found.attributes or {})["gen_ai.retrieval.query.text"] == "where do clocks stop"
    assert {(span.attributes or {})[AUTHOR] for span in spans.values()} == {"ada"}


def test_personal_data_and_without_text_every_word_stays_here() -> None:
    whole = "".join(span.to_json() for span in told(CALL).values())
    assert "clocks" in whole
    assert "ada@skarvik.no" not in whole
    figures = "".join(span.to_json() for span in told(CALL, text=False).values())
    for word in ("stop", "Answer as", "quay"):
        assert word not in figures
    assert "ada-2" in figures


def test_a_failure_is_marked_and_a_quotation_has_no_model() -> None:
    failed = told(replace(CALL, error="the engine is full", answer=None))["ask"]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "the engine is full")
    assert set(told(replace(CALL, timings_ms={"search_total": 40.0, "total": 60.0}))) == {"ask", "retrieval"}


def test_a_share_is_told_and_the_same_calls_each_time() -> None:
    calls = [replace(CALL, trace_id=f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}") for number in range(400)]

    def of_half() -> list[int]:
        kept = InMemorySpanExporter()
        told_to = Traces({"memory": kept}, share=0.5)
        for call in calls:
            told_to.export(call)
        told_to.close()
        return sorted({span.context.trace_id for span in kept.get_finished_spans()})

    first = of_half()
    assert 150 < len(first) < 250
    assert of_half() == first


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A server that takes traces as OpenTelemetry's collector does, and what it got."""
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
    server.shutdown()
    server.server_close()


def test_a_collector_gets_them_over_http(collector: tuple[str, list[ExportTraceServiceRequest]]) -> None:
    address, got = collector
    told_to = Traces({"collector": exporters.otlp(address)})
    told_to.export(CALL)
    told_to.close()
    (resource,) = [each for request in got for each in request.resource_spans]
    names = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert names["service.name"] == "llm-twin"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {"ask", "retrieval", "chat ada-2"}


class _Stuck(SpanExporter):
    """Takes no span until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.go.wait()
        return SpanExportResult.SUCCESS


def test_a_collector_that_stands_still_or_is_dead_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traces, "_ENDING_SECONDS", 0.2)
    stuck, dead = _Stuck(), exporters.otlp("http://127.0.0.1:9/v1/traces")
    for exporter in (stuck, dead):
        told_to = Traces({"a collector": exporter}, seconds=0.01)
        for _ in range(3000):
            told_to.export(CALL)  # would wait for ever where it waited for the collector
        told_to.close()
    stuck.go.set()
    caplog.clear()
    with caplog.at_level("INFO", "twin_resources.telemetry"):
        steady = exporters.Steady("another", dead)
        assert [steady.export([]) for _ in range(3)] == [SpanExportResult.FAILURE] * 3
    assert [each.message for each in caplog.records if "another" in each.message] == [
        "another takes no traces; answers go on without them"
    ]


def test_too_many_that_wait_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(traces, "write_spans", lambda *_, **__: go.wait())
    told_to = Traces({})
    for _ in range(traces.WAITING + 50):
        told_to.export(CALL)
    assert 49 <= told_to.left_out <= 50
    go.set()
    told_to.close()
