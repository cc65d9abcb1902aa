"""What leaves a run for a collector of OpenTelemetry, as a collector reads it."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from buildflow_nb import Flow, FlowOptions
from buildflow_nb.core.errors import ConfigError, UsageError
from buildflow_nb.runtime.observability import otel
from buildflow_nb.runtime.observability.otel import Signals, wanted
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import until

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector:
    """Takes what is sent, by path."""

    def __init__(self) -> None:
        taken: dict[str, list[bytes]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                taken.setdefault(self.path, []).append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                """Say nothing."""

        self.taken = taken
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def metrics(self) -> dict[str, list]:
        """The points of the last export, by name."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )

        found: dict[str, list] = {}
        for body in self.taken.get("/v1/metrics", []):
            read = ExportMetricsServiceRequest.FromString(body)
            for resource in read.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        kind = metric.WhichOneof("data")
                        found[metric.name] = list(getattr(metric, kind).data_points)
        return found

    def spans(self) -> list:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        return [
            span
            for body in self.taken.get("/v1/traces", [])
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def value(self, name: str, **labels: str) -> float | None:
        for point in self.metrics().get(name, []):
            told = {each.key: each.value.string_value for each in point.attributes}
            if labels.items() <= told.items():
                return point.as_int or point.as_double
        return None


@pytest.fixture
def collector(monkeypatch):
    made = Collector()
    monkeypatch.setenv(ENDPOINT, made.address)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    monkeypatch.setattr(otel, "TRACES_S", 0.05)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch):
    for name in (ENDPOINT, "OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def price_flow(app: Flow) -> None:
    @app.consumer(source=FakeSource([[1, 2, 3]], endless=True), sink=FakeSink(), retries=0)
    def price(x: int) -> int:
        if x == 3:
            msg = "usd"
            raise KeyError(msg)
        return x


def ended(app: Flow) -> None:
    """Stop, and wait until the last values have left."""
    thread = app.handle._telemetry._thread
    app.handle.stop(timeout=5)
    if thread is not None:
        thread.join(PATIENCE_S)


def test_metrics_arrive_while_it_runs(app, collector):
    price_flow(app)
    app.run(block=False)
    labels = {"processor": "price", "flow": "test", "stack": "local"}
    until(lambda: collector.value("buildflow.elements", direction="in", **labels) == 3)
    assert collector.value("buildflow.elements", direction="out", **labels) == 2
    assert collector.value("buildflow.failed_elements", **labels) == 1
    assert collector.value("buildflow.processor_state", state="running", **labels) == 1
    assert collector.value("buildflow.latency.count", **labels) == 3
    assert collector.value("buildflow.latency.sum", **labels) > 0
    ended(app)


def test_the_last_values_and_traces_of_a_short_run_arrive(app, collector, monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    monkeypatch.setattr(otel, "TRACES_S", 60.0)
    price_flow(app)
    app.run(block=False)
    app.handle.wait_until(count=3, timeout=PATIENCE_S)
    ended(app)
    assert collector.value("buildflow.elements", direction="in") == 3
    assert {span.name for span in collector.spans()} >= {"price"}


def test_spans_are_those_of_the_trace_and_tell_no_element(app, collector):
    price_flow(app)
    app.run(block=False)
    until(lambda: any(span.status.code == 2 for span in collector.spans()))
    ended(app)
    spans = collector.spans()
    ids = [span.span_id for span in spans]
    assert len(ids) == len(set(ids))
    (failed,) = (span for span in spans if span.status.code == 2 and span.name == "price")
    assert "usd" in failed.status.message
    (trace,) = app.traces("price", failed=True)
    assert failed.trace_id.hex() == trace.trace_id
    inner = [span for span in spans if span.parent_span_id == failed.span_id]
    assert inner
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    told = {each.key for span in spans for each in span.attributes}
    assert told == {"buildflow.processor", "buildflow.part", "buildflow.tries", "buildflow.fate"}


def test_a_collector_that_does_not_answer_changes_nothing(app, monkeypatch, caplog):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    monkeypatch.setattr(otel, "TRACES_S", 0.05)
    monkeypatch.setattr(otel._ONCE, "_said", False)
    price_flow(app)
    began = time.monotonic()
    app.run(block=False)
    app.handle.wait_until(count=3, timeout=PATIENCE_S)
    app.handle.wait_a_moment(1.0)
    app.handle.stop()
    assert time.monotonic() - began < 5
    app.handle._telemetry._thread.join(PATIENCE_S)
    names = ("opentelemetry", "buildflow_nb.runtime.observability.otel")
    loud = [one for one in caplog.records if one.levelno >= logging.WARNING]
    said = [one.getMessage() for one in loud if one.name.startswith(names)]
    assert len(said) <= 1, said


@pytest.mark.parametrize(
    ("environ", "chosen", "signals"),
    [
        ({}, None, (False, False)),
        ({}, True, (True, True)),
        ({ENDPOINT: "http://c"}, None, (True, True)),
        ({ENDPOINT: "http://c"}, False, (False, False)),
        ({ENDPOINT: "http://c", "OTEL_TRACES_EXPORTER": "none"}, None, (True, False)),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, None, (True, False)),
        ({"OTEL_METRICS_EXPORTER": "console, otlp"}, None, (True, False)),
        ({"OTEL_METRICS_EXPORTER": "none"}, True, (False, True)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, None, (False, True)),
        ({ENDPOINT: "http://c", "OTEL_SDK_DISABLED": "True"}, True, (False, False)),
    ],
)
def test_what_is_sent_is_what_the_environment_and_the_flow_say(environ, chosen, signals):
    assert wanted(environ, chosen) == Signals(*signals)


def test_what_is_not_installed_is_named_where_it_was_asked_for(app, monkeypatch, tmp_path):
    monkeypatch.setattr(otel, "_is_installed", lambda: False)
    flow = Flow("other", FlowOptions(telemetry=True))
    price_flow(flow)
    with pytest.raises(UsageError, match=r"pip install 'buildflow_nb\[otel\]'"):
        flow.run(block=False)
    assert wanted({ENDPOINT: "http://c"}, None)  # by the environment alone: said, not raised


def test_an_option_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="telemetry must be True, False or None, got 'yes'"):
        FlowOptions(telemetry="yes")


def test_nothing_is_loaded_that_is_not_wanted(tmp_path):
    program = (
        "import sys\n"
        "from buildflow_nb import Flow\n"
        "from buildflow_nb.io.local import Pulse\n"
        "app = Flow('t')\n"
        "@app.consumer(source=Pulse([1], 0.01))\n"
        "def price(x: int) -> int:\n"
        "    return x\n"
        "run = app.run(block=False)\n"
        "run.wait_until(count=2, timeout=20)\n"
        "run.stop()\n"
        "print([m for m in sys.modules if 'opentelemetry' in m or 'pandas' in m])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
