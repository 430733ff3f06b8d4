"""Spans of requests, by OpenTelemetry's own SDK: one each, the stages of its batch in it, and nobody's name."""

import asyncio
import gzip
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter as in_memory

from bandit_nba.errors import SettingsError
from bandit_nba.online.replica import Replica
from bandit_nba.online.watching import watched
from serve.app import create_app
from serve.tracing import ENDS_WITHIN_S, Tracing, tracing_from_environment
from tests.machine import time_lost
from tests.serve.asgi_client import JSON, Client

ROOT = Path(__file__).parents[2]

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CUSTOMER = "kunde-4711"
SECRETS = (CUSTOMER, "web-1", "senior-word", "nba_")  # none can stand in hexadecimal numbers, which are drawn


class Traced:
    """A client of the application, and the spans that it has ended."""

    def __init__(self, replica: Replica) -> None:
        provider = sdk.TracerProvider()
        self.exporter = in_memory.InMemorySpanExporter()
        provider.add_span_processor(export.SimpleSpanProcessor(self.exporter))
        self.client = Client(create_app(replica, tracing=Tracing(provider.get_tracer("test"))))

    def ended(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def ask(self, path: str, data: object, headers: Mapping[str, str] = JSON) -> int:
        return asyncio.run(self.client.post(path, data, headers=headers)).status


@pytest.fixture
def traced(replica: Replica) -> Traced:
    return Traced(replica)


def decision(i: int = 1, **more: object) -> dict[str, object]:
    return {"decisionId": f"web-{i}", "customerId": CUSTOMER, "channel": "web", **more}


def test_a_request_is_a_span_and_its_stages_lie_in_it_in_their_order(traced: Traced) -> None:
    assert traced.ask("/v1/decisions", decision()) == 201

    *stages, request = traced.ended()
    assert request.name == "POST /v1/decisions"
    assert request.kind.name == "SERVER"
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/decisions",
        "nba.operation": "decide",
        "http.response.status_code": 201,
    }
    assert [stage.name for stage in stages] == ["read", "make", "write"]
    assert {stage.parent.span_id for stage in stages} == {request.context.span_id}
    assert {stage.attributes["nba.batch_size"] for stage in stages} == {1}
    moments = [request.start_time, *(t for s in stages for t in (s.start_time, s.end_time)), request.end_time]
    assert moments == sorted(moments)


def test_a_page_has_each_stage_once_and_tells_how_many_shared_it(traced: Traced) -> None:
    assert traced.ask("/v1/decisions/batch", [decision(i) for i in range(20)]) == 201

    *stages, _ = traced.ended()
    assert [(stage.name, stage.attributes["nba.batch_size"]) for stage in stages] == [
        ("read", 20),
        ("make", 20),
        ("write", 20),
    ]


def test_a_traceparent_becomes_the_parent_and_a_broken_one_nothing(traced: Traced) -> None:
    traced.ask("/v1/decisions", decision(), {**JSON, "traceparent": PARENT, "tracestate": "who=4711"})
    request = traced.ended()[-1]

    assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert not request.context.trace_state
    for broken in ("", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\xff" * 200):
        traced.exporter.clear()
        assert traced.ask("/v1/decisions", decision(), {**JSON, "traceparent": broken}) == 200
        assert traced.ended()[-1].parent is None


def test_refusals_are_told_by_their_status_and_failures_as_errors(traced: Traced, replica: Replica) -> None:
    assert traced.ask("/v1/decisions", decision(channel="fax")) == 422
    refused = traced.ended()[-1]
    replica.database.close()
    assert traced.ask("/v1/decisions", decision()) == 503
    failed = traced.ended()[-1]

    assert (refused.attributes["http.response.status_code"], refused.status.status_code.name) == (422, "UNSET")
    assert (failed.attributes["http.response.status_code"], failed.status.status_code.name) == (503, "ERROR")


def test_no_span_names_a_customer_a_decision_a_fact_or_a_key(traced: Traced) -> None:
    key = {**JSON, "authorization": "Bearer nba_0123456789ab_" + "x" * 43, "x-request-id": f"of-{CUSTOMER}"}
    traced.ask("/v1/decisions", decision(facts={"segment": "senior-word"}), key)
    traced.ask("/v1/decisions", decision(), key)
    traced.ask("/v1/decisions/web-1/activate", b"", key)
    asyncio.run(traced.client.get("/v1/decisions/web-1/explanation?lang=de"))
    told = [span.to_json() for span in traced.ended()]

    assert len(told) >= 4
    assert any("/v1/decisions/{decisionId}/activate" in text for text in told)
    assert not [text for text in told for secret in SECRETS if secret in text]


def test_without_tracing_nobody_is_told_anything(client: Client) -> None:
    assert asyncio.run(client.post("/v1/decisions", decision())).status == 201
    assert watched.get() is None


def test_it_is_off_unless_an_endpoint_is_named() -> None:
    assert tracing_from_environment({}) is None
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert tracing_from_environment({**endpoint, "OTEL_SDK_DISABLED": "true"}) is None


@contextmanager
def collecting() -> Iterator[tuple[str, "queue.Queue[tuple[str, bytes]]"]]:
    """A collector: its address, and what it was sent."""
    received: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            received.put((self.path, gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body))

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{collector.server_port}", received
        collector.shutdown()


def test_a_collector_is_sent_the_spans_over_http(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        client = Client(create_app(replica, tracing=tracing_from_environment()))
        assert asyncio.run(client.post("/v1/decisions", decision())).status == 201
        path, body = received.get(timeout=20.0)

    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert path == "/v1/traces"
    assert {span.name for span in resource.scope_spans[0].spans} <= {"read", "make", "write", "POST /v1/decisions"}
    assert ("service.name", "nba") in {(a.key, a.value.string_value) for a in resource.resource.attributes}


# A process that has made a span, which nobody has sent yet; then it prints the time, and ends.
ENDS = """
import sys, time
from serve import tracing
tracing.ENDS_WITHIN_S = float(sys.argv[1])
with tracing.tracing_from_environment().request("GET", "/last", "last", {}) as seen:
    seen.status = 200
print(time.monotonic(), flush=True)
"""


def seconds_to_the_end(endpoint: str, *, within_s: float = ENDS_WITHIN_S) -> float:
    """Of such a process, after its last line, beside what the machine took."""
    command = [sys.executable, "-c", ENDS, str(within_s)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    environment["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
    with time_lost() as lost:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        ended_s = time.monotonic()
    return ended_s - float(done.stdout) - lost.seconds


@pytest.mark.parametrize("listens", [True, False])
def test_a_collector_that_does_not_answer_delays_no_end(listens: bool) -> None:
    """One that takes the connection and says nothing, and none at all; OpenTelemetry alone waits 10 s or longer."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        took_s = seconds_to_the_end(f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert took_s < ENDS_WITHIN_S + 1.5


def test_the_last_spans_are_sent_at_the_end() -> None:
    with collecting() as (endpoint, received):
        took_s = seconds_to_the_end(endpoint, within_s=20.0)
        _, body = received.get(timeout=20.0)

    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert [span.name for span in resource.scope_spans[0].spans] == ["GET /last"]
    assert took_s < 10.0


def test_what_is_asked_for_and_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("serve.tracing.import_module", missing)
    with pytest.raises(SettingsError, match="pip install") as caught:
        tracing_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})

    assert caught.value.where == "OTEL_EXPORTER_OTLP_ENDPOINT"
