"""OpenTelemetry spans, where somebody asks for them: one for each request, and in it the stages of its batch.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) stands in the environment of `nba serve`; then spans
go there by OTLP over HTTP. A caller's `traceparent` (W3C Trace Context) becomes the parent. Attributes are words of the
code: no id of a customer, decision or request, no key, no body ever stands in a span.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bandit_nba.errors import SettingsError
from bandit_nba.online.watching import Timed, watched

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "nba"
FAILED = 500
ENDS_WITHIN_S = 1.0
"""What the last spans have to reach their collector when the process ends."""


@dataclass
class Seen:
    """What is known of a request at its end. status: of the answer; None where the client has gone before."""

    status: int | None = None


class Tracing:
    """Makes a span of each request. tracer: of OpenTelemetry's API."""

    def __init__(self, tracer: "Tracer") -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._kinds = SpanKind
        self._error = Status(StatusCode.ERROR)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, method: str, path: str, name: str, headers: Mapping[bytes, bytes]) -> Iterator[Seen]:
        """A span around one request. path: with the names of its parameters, not their values."""
        sent = headers.get(b"traceparent", b"").decode("latin-1")
        span = self._tracer.start_span(
            f"{method} {path}",
            context=self._propagator.extract({"traceparent": sent} if sent else {}),
            kind=self._kinds.SERVER,
            attributes={"http.request.method": method, "http.route": path, "nba.operation": name},
        )
        seen = Seen()
        timeline: list[Timed] = []
        before = _between_the_clocks()
        token = watched.set(timeline)
        try:
            yield seen
        finally:
            watched.reset(token)
            for timed in tuple(timeline):
                self._stage(span, timed, before)
            if seen.status is not None:
                span.set_attribute("http.response.status_code", seen.status)
            if seen.status is None or seen.status >= FAILED:
                span.set_status(self._error)
            span.end()

    def _stage(self, parent: Any, timed: Timed, before: int) -> None:
        from opentelemetry.trace import set_span_in_context

        stage = self._tracer.start_span(
            timed.stage,
            context=set_span_in_context(parent),
            start_time=before + int(timed.begun_s * 1e9),
            attributes={"nba.batch_size": timed.size},
        )
        stage.end(before + int(timed.ended_s * 1e9))


def _between_the_clocks() -> int:
    """Nanoseconds from `perf_counter_ns` to `time_ns`; of three readings that in which least time passed in between."""
    return max(time.time_ns() - time.perf_counter_ns() for _ in range(3))


def _end_soon(end: Callable[[], object]) -> None:
    """Call `end` when the interpreter exits, and wait for it for `ENDS_WITHIN_S` at most.

    OpenTelemetry's own way waits half a minute for a collector that does not answer. The thread is there from the
    start, since none can be begun at exit.
    """
    asked, ended = threading.Event(), threading.Event()

    def run() -> None:
        asked.wait()
        end()
        ended.set()

    threading.Thread(target=run, name="nba-tracing-end", daemon=True).start()

    def at_exit() -> None:
        asked.set()
        ended.wait(ENDS_WITHIN_S)

    atexit.register(at_exit)


def tracing_from_environment(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Tracing as OpenTelemetry's own variables ask for it, None where they name no endpoint.

    Raises
    ------
    SettingsError
        If they do, and what sends spans is not installed.
    """
    asked = next((name for name in ENDPOINTS if environment.get(name)), None)
    if asked is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"asks for traces, and what sends them is not installed ({error.name})",
            where=asked,
            hint="install the extra `otel`, for example `pip install -e '.[otel]'`, or unset the variable",
        ) from None
    resource = Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", SERVICE)})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _end_soon(provider.shutdown)
    return Tracing(provider.get_tracer("bandit_nba"))
