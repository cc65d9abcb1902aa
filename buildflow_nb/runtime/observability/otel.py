"""Sends what a run counts, and the traces that it samples, to a collector of OpenTelemetry.

By their SDK and its OTLP exporter over HTTP, which read their own environment variables (endpoint,
headers, interval). It is wanted where `OTEL_EXPORTER_OTLP_ENDPOINT` or one of its like is set, or
where `FlowOptions(telemetry=True)` says so; otherwise nothing is loaded.

All of it happens on threads of its own, the loading as well: a run starts no later for it, and
works alike where no collector answers, which is said once. At its end the last values have two
seconds to leave. Values are those of `/metrics`; of spans no element is told, only what became of
it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.errors import UsageError, told
from buildflow_nb.core.status.traces import Part, Span, TraceStep
from buildflow_nb.runtime.observability.exposition import CountedUnit, Family, Sample, families
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.trace_lookup import last_traces

if TYPE_CHECKING:
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ("Signals", "Telemetry", "wanted")

_LOGGER = logging.getLogger(__name__)
LOOK_S = 1.0  # for the loop to tell its numbers; of one that is held, none are sent
FRESH_S = 0.5  # in which the instruments of one collection share a look
TRACES_S = 5.0  # between two looks at what was traced: a hundred are kept of each processor
TRACES = 500  # in one look
SENT = 20_000  # spans that are known to be sent
LEAVE_S = 2.0
SCOPE = "buildflow_nb"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PARTS_HELP = {"buildflow_latency_seconds": "buildflow.latency"}
_NOISY = (
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common",
    "opentelemetry.sdk.metrics._internal.export",
)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is to be sent."""

    metrics: bool
    traces: bool

    def __bool__(self) -> bool:
        return self.metrics or self.traces


def wanted(environ: Mapping[str, str], chosen: bool | None = None) -> Signals:
    """What the environment asks for, or a flow's option, which it may narrow down.

    Raises:
        UsageError: the option asks for it, and it is not installed.
    """
    if chosen is False or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Signals(metrics=False, traces=False)
    if chosen and not _is_installed():
        msg = "telemetry needs OpenTelemetry's SDK; pip install 'buildflow_nb[otel]'"
        raise UsageError(msg)

    def is_on(signal: str) -> bool:
        exporters = environ.get(f"OTEL_{signal}_EXPORTER", "")
        if exporters:
            return "otlp" in (word.strip() for word in exporters.split(","))
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        return bool(chosen or own or environ.get(_ENDPOINT))

    return Signals(is_on("METRICS"), is_on("TRACES"))


def _is_installed() -> bool:
    from importlib.util import find_spec

    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False


class Telemetry:
    """What leaves one run; begun and ended on its loop.

    `call` runs a function on the loop and gives its result, within seconds.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        signals: Signals,
        units: Callable[[], Mapping[str, CountedUnit]],
        call: Callable[[Callable[[], Any], float], Any],
    ) -> None:
        self._names = dict(names)
        self._signals = signals
        self._units = units
        self._call = call
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._started_at = time.time()
        self._seen: tuple[float, list[Family]] = (0.0, [])
        self._sent: dict[str, None] = {}

    def begin(self) -> None:
        """Send from now on, if anything is wanted."""
        if self._signals:
            self._thread = threading.Thread(
                target=self._work, name="buildflow telemetry", daemon=True
            )
            self._thread.start()

    def end(self) -> None:
        """Send the last values; a program that ends meanwhile waits for that a little."""
        thread = self._thread
        self._ended.set()
        if thread is not None:
            waiter = threading.Thread(target=thread.join, args=(LEAVE_S,), name="last telemetry")
            try:
                waiter.start()
            except RuntimeError:  # Python is ending, and starts no thread any more
                thread.join(LEAVE_S / 2)

    def _work(self) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
        except ImportError:
            _LOGGER.warning(
                "OTEL_* asks for telemetry, which is not installed: "
                "pip install 'buildflow_nb[otel]'"
            )
            return
        try:
            _say_once()
            self._send(Resource.create(self._resource(Resource)))
        except Exception as error:  # noqa: BLE001  (whatever it is, the run goes on)
            _LOGGER.warning("telemetry ends: %s", told(error))

    def _resource(self, resource: type[Resource]) -> dict[str, str]:
        """What the environment does not say of the service already."""
        known = resource.create().attributes
        found = {"service.instance.id": self._names["run"], "buildflow.stack": self._names["stack"]}
        if str(known.get("service.name", "")).startswith("unknown_service"):
            found["service.name"] = self._names["flow"]
        return found

    def _send(self, resource: Resource) -> None:
        provider = self._provider(resource) if self._signals.metrics else None
        exporter = _span_exporter() if self._signals.traces else None
        while not self._ended.wait(TRACES_S):
            if exporter is not None:
                self._export(exporter, resource)
        if exporter is not None:
            self._export(exporter, resource)
        if provider is not None:
            provider.shutdown(timeout_millis=LEAVE_S * 1e3)

    # -- metrics -------------------------------------------------------------------------------

    def _provider(self, resource: Resource) -> Any:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = provider.get_meter(SCOPE)
        for family in families(self._names["flow"], self._names["stack"], {}, 0.0):
            name = _PARTS_HELP.get(family.name, family.name.removesuffix("_total"))
            if family.kind == "histogram":  # which no instrument can be given whole
                for part in ("count", "sum"):
                    said = f"{family.help[:-1]}: {part}."
                    meter.create_observable_counter(
                        f"{name}.{part}", [self._observer(family.name, f"_{part}")], "", said
                    )
                continue
            create = (
                meter.create_observable_counter
                if family.kind == "counter"
                else meter.create_observable_gauge
            )
            name = name.replace("_", ".", 1)
            create(name, [self._observer(family.name, "")], "", family.help)
        return provider

    def _observer(self, name: str, suffix: str) -> Callable[[Any], Iterable[Observation]]:
        def observe(_options: object) -> Iterator[Observation]:
            from opentelemetry.metrics import Observation

            for sample in self._samples(name):
                if sample.suffix == suffix:
                    yield Observation(sample.value, dict(sample.labels))

        return observe

    def _samples(self, name: str) -> list[Sample]:
        at, found = self._seen
        if time.monotonic() - at > FRESH_S:
            found = self._look()
            self._seen = (time.monotonic(), found)
        return [sample for family in found if family.name == name for sample in family.samples]

    def _look(self) -> list[Family]:
        flow, stack = self._names["flow"], self._names["stack"]
        try:
            found: list[Family] = self._call(
                lambda: list(families(flow, stack, self._units(), self._started_at)), LOOK_S
            )
        except (TimeoutError, RuntimeError):  # the loop is held, or not there any more
            return []
        return found

    # -- traces --------------------------------------------------------------------------------

    def _export(self, exporter: Any, resource: Resource) -> None:
        spans = [one for step in self._steps() for one in _spans_of(step, resource)]
        if spans:
            exporter.export(spans)

    def _steps(self) -> Iterator[tuple[str, TraceStep]]:
        """What was traced and is over, each once."""
        ledgers = {name: unit.ledger for name, unit in list(self._units().items())}
        chosen = set(_chosen(ledgers.values()))
        for trace in last_traces(ledgers, list(ledgers.values()), TRACES, failed=False):
            if trace.trace_id not in chosen:
                continue
            for step in trace.steps:
                if step.span.took_s is not None and step.span.span_id not in self._sent:
                    self._sent[step.span.span_id] = None
                    yield trace.trace_id, step
        while len(self._sent) > SENT:
            del self._sent[next(iter(self._sent))]


def _chosen(ledgers: Iterable[Ledger]) -> Iterator[str]:
    """The traces that are sampled, or of elements that failed."""
    for ledger in ledgers:
        for visit in ledger.traces.visits():
            if visit.ended is not None and (visit.sampled or visit.failed_in is not None):
                yield visit.trace_id


def _span_exporter() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=LEAVE_S)


def _spans_of(found: tuple[str, TraceStep], resource: Resource) -> Iterator[ReadableSpan]:
    trace_id, step = found
    for span in (step.span, *step.parts):
        if span.took_s is not None:
            yield _span(trace_id, span, step, resource)


def _span(trace_id: str, span: Span, step: TraceStep, resource: Resource) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: str) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)

    whole = span.part is Part.PROCESSOR
    kinds = {Part.PROCESSOR: SpanKind.CONSUMER, Part.SINK: SpanKind.PRODUCER}
    attributes: dict[str, str | int] = {
        "buildflow.processor": span.processor_id,
        "buildflow.part": span.part.value,
    }
    if whole:
        attributes |= {"buildflow.tries": step.tries, "buildflow.fate": span.fate}
    error = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK)
    return ReadableSpan(
        name=span.processor_id if whole else f"{span.part.value} {span.name}".strip(),
        context=context(span.span_id),
        parent=context(span.parent_id) if span.parent_id else None,
        resource=resource,
        attributes=attributes,
        kind=kinds.get(span.part, SpanKind.INTERNAL),
        status=error,
        start_time=int(span.started_at * 1e9),
        end_time=int(span.ended_at * 1e9),
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


class _Once(logging.Filter):
    """Lets the first word of a collector that does not answer pass, and no other."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        said, self._said = self._said, True
        return not said


_ONCE = _Once()


def _say_once() -> None:
    for name in _NOISY:
        logging.getLogger(name).addFilter(_ONCE)  # which is added once, however often
