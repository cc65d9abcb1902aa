"""What is remembered of one processor: numbers, the last elements, the failures, the log.

A ledger outlives the code that it is about: when a cell is re-run and the processor swapped, the
totals go on and the failures stay to be inspected. All rings are bounded. Written on the loop
thread; `Ledger.snapshot` and the copies given out are safe to hand to any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.events import ElementFailed, Listener, StateChanged
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.snapshot import Passage, ProcessorSnapshot, State
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.failures import (
    EXCEPTIONS,
    FailureRecord,
    Fault,
    RetryInput,
    RetryResult,
)
from buildflow_nb.runtime.observability.hidden import in_texts
from buildflow_nb.runtime.observability.metrics import Activity, Metrics
from buildflow_nb.runtime.observability.recording import Recorder
from buildflow_nb.runtime.observability.redaction import OPEN, Redaction
from buildflow_nb.runtime.observability.tracebacks import describe, short_line
from buildflow_nb.runtime.observability.traces import TraceBook

__all__ = ("MAX_PASSAGES", "NO_TRACES", "PASSAGES", "Ledger", "Retrier", "source_label")

NO_TRACES: Mapping[int, str] = MappingProxyType({})
PASSAGES = 20  # elements that `peek` shows
MAX_PASSAGES = 100_000  # of a processor that is tapped
FAILURES = 200  # failures kept; older ones are forgotten


class Retrier(Protocol):
    """The run of a ledger, which does what a person wants done with a failure."""

    def retry(self, ledger: Ledger, record: FailureRecord, wanted: RetryInput) -> RetryResult:
        """Run it again, and keep the books; does not raise what the code raised."""
        ...

    def discard(self, ledger: Ledger, record: FailureRecord) -> None:
        """Forget it."""
        ...


class Ledger:
    """The book of one processor; `emit` hears of its states and failures.

    Its failures can be retried where there is a `run` to do that.
    """

    def __init__(  # noqa: PLR0913  (what a run tells each book)
        self,
        processor_id: str,
        clock: Clock,
        emit: Listener = lambda _: None,
        activity: Activity | None = None,
        run: Retrier | None = None,
        *,
        trace_sampling: float = 0.0,
    ) -> None:
        self._emit = emit
        self._run = run
        self.processor_id = processor_id
        self.clock = clock
        self.activity = activity or Activity()
        self.metrics = Metrics(clock.now())
        self.passages: deque[Passage] = deque(maxlen=PASSAGES)
        self.failures: deque[FailureRecord] = deque(maxlen=FAILURES)
        self.redaction: Redaction = OPEN
        self.recorder: Recorder | None = None
        self.log = logs.LogRing()
        self.traces = TraceBook(trace_sampling)
        self.state = State.PENDING
        self.reason = ""
        self._remark = self._opening = ""
        self.version = 1
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self._failure_number = 0
        self._with_exception: deque[FailureRecord] = deque()

    def enter(self, state: State, reason: str = "") -> None:
        """Move to a state; the reason is for people."""
        reason = short_line(self.log.told(reason))
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason = state, reason
        if state is State.STARTING:
            self.started_at, self.ended_at = self.clock.time(), None
            self._remark, self._opening = self._opening, ""
        if state.ended:
            self.ended_at = self.clock.time()
        self._emit(StateChanged(self.clock.time(), self.processor_id, state, self._said()))

    def remark(self, text: str) -> None:
        """Say something of a processor at work, beside its reason, until there is other to say."""
        text = short_line(self.log.told(text))
        if text != self._remark:
            self._remark = text
            self._emit(StateChanged(self.clock.time(), self.processor_id, self.state, self._said()))

    def open_with(self, text: str) -> None:
        """Have something said of a processor from its next start on."""
        self._opening = text
        self.log.add("WARNING", text)

    def _said(self) -> str:
        """The reason for people, with the remark, which is about a processor at work only."""
        return "; ".join(filter(None, (self.reason, "" if self.state.ended else self._remark)))

    def passed(
        self,
        elements: Sequence[object],
        results: Sequence[tuple[object, ...]],
        seconds: float,
        traces: Mapping[int, str] = NO_TRACES,
    ) -> None:
        """Remember elements, newest last, with what each gave; `seconds` is for one of them.

        `traces` are the ids of their traces, by position.

        Secrets are masked here, so that nothing that shows passages can show them.
        """
        at, redaction = self.clock.time(), self.redaction
        if len(elements) == 1 and not redaction.masked:
            self.passages.append(Passage(at, elements[0], results[0], seconds, traces.get(0, "")))
            return
        if redaction.masked:
            elements = [redaction.element(element) for element in elements]
            results = [self.shown(given) for given in results]
        for i, (element, given) in enumerate(zip(elements, results, strict=True)):
            self.passages.append(Passage(at, element, given, seconds, traces.get(i, "")))

    def shown(self, results: Sequence[object]) -> tuple[object, ...]:
        """Results as a person may see them, in texts as in fields."""
        found = tuple(map(self.redaction.result, results))
        hidden = self.log.hidden
        return found if hidden is None else tuple(in_texts(one, hidden.masked) for one in found)

    def said(self, text: str, value: object) -> str:
        """A text of this processor, about an input, without any secret."""
        return self.log.told(self.redaction.text(text, value))

    def said_error(self, error: BaseException, value: object) -> str:
        """An error of this processor, about an input, in one line as it is kept."""
        return short_line(self.said(describe(error), value))

    def keep_last(self, count: int) -> None:
        """Keep more passages from now on; never fewer than before."""
        if count > (self.passages.maxlen or 0):
            self.passages = deque(self.passages, maxlen=min(count, MAX_PASSAGES))

    def listen(self, recorder: Recorder) -> None:
        """Let a recorder hear of the next inputs.

        Raises:
            UsageError: nothing will come, or somebody else listens.
        """
        if self.recorder is not None:
            msg = f"{self.processor_id!r} is being recorded; wait for that to end, or interrupt it"
            raise UsageError(msg)
        if self.state.ended:
            msg = (
                f"{self.processor_id!r} is {self.state.value}, so nothing comes; app.start(...), "
                "or app.run(), starts it, then record"
            )
            raise UsageError(msg)
        self.recorder = recorder

    def record(
        self, raw: object, results: Sequence[object], error: BaseException | None = None
    ) -> None:
        """Give an input, as it was pulled, and what became of it to the recording that is made."""
        if self.recorder is None:
            return
        redaction = self.redaction
        said = "" if error is None else self.said_error(error, raw)
        self.recorder.take(redaction.raw(raw), self.shown(tuple(results)), said)

    def regained(self, element: object, results: tuple[object, ...], seconds: float) -> None:
        """Count and remember an element that passed when a person had it retried."""
        self.metrics.retried += 1
        self.metrics.given.add(len(results), self.clock.now())
        self.metrics.dropped += not results
        self.passed((element,), (results,), seconds)

    def fail(self, fault: Fault, fate: str) -> FailureRecord:
        """Remember a failure and count it."""
        return self.adopt(fault, self.clock.time(), fate)

    def adopt(self, fault: Fault, at: float, fate: str) -> FailureRecord:
        """Remember a failure that happened then, in a replica, and count it."""
        self._failure_number += 1
        self.metrics.failed += 1
        self.metrics.failures += 1
        record = FailureRecord(self, self._failure_number, at, fault, fate)
        if fault.visit is not None:
            fault.visit.failure, fault.visit.said_fate = record.number, fate
        self.failures.append(record)
        self._keep_exception(record)
        self._emit(ElementFailed(record.as_data()))
        return record

    def retry(self, record: FailureRecord, wanted: RetryInput) -> RetryResult:
        """Have the run retry a failure, from any thread."""
        assert self._run is not None  # noqa: S101  (who has failures for people, has a run)
        return self._run.retry(self, record, wanted)

    def discard(self, record: FailureRecord) -> None:
        """Have the run forget a failure, from any thread."""
        assert self._run is not None  # noqa: S101
        self._run.discard(self, record)

    def retried(self, record: FailureRecord, result: RetryResult) -> RetryResult:
        """Write down what a retry gave, and give it as a person may see it."""
        if result.error is not None:
            self._keep_exception(record)
            record.renew(result.error)
            return result
        self.metrics.failed -= 1  # it does not count as a failure any more
        self.settle(record, "retried")
        return RetryResult(self.shown(result.results))

    def settle(self, record: FailureRecord, fate: str) -> None:
        """Take a failure off the list; one that has left it by age is not there any more."""
        record.settle(fate)
        for ring in (self.failures, self._with_exception):
            if record in ring:
                ring.remove(record)

    def _keep_exception(self, record: FailureRecord) -> None:
        """Let the newest failures keep their errors, and no others."""
        if record in self._with_exception:
            self._with_exception.remove(record)
        self._with_exception.append(record)
        if len(self._with_exception) > EXCEPTIONS:
            self._with_exception.popleft().forget_exception()

    def snapshot(self, spec: ProcessorSpec, backlog: int | None) -> ProcessorSnapshot:
        """The processor at this moment."""
        m, now = self.metrics, self.clock.now()
        p50, p95, p99 = m.latency.quantiles(0.5, 0.95, 0.99)
        return ProcessorSnapshot(
            processor_id=self.processor_id,
            kind=spec.kind,
            state=self.state,
            reason=self._said(),
            source=source_label(spec),
            sink=_sink_label(spec),
            version=self.version,
            elements_in=m.taken.total,
            elements_out=m.given.total,
            dropped=m.dropped,
            failed=m.failed,
            failures_kept=len(self.failures),
            retried=m.retried,
            in_flight=m.in_flight,
            backlog=backlog,
            in_per_s=0.0 if self.state.ended else m.taken.per_s(now, m.started),
            out_per_s=0.0 if self.state.ended else m.given.per_s(now, m.started),
            p50_s=p50,
            p95_s=p95,
            p99_s=p99,
            started_at=self.started_at,
            ended_at=self.ended_at,
            codes=tuple(sorted(m.codes.items())),
            history=m.taken.history(now),
            quiet_s=m.taken.quiet_s(now),
        )


def source_label(spec: ProcessorSpec) -> str:
    """What a processor reads, by its name."""
    if isinstance(spec, ConsumerSpec):
        return label_of(spec.source)
    return f"{spec.method} {spec.route}"


def _sink_label(spec: ProcessorSpec) -> str:
    if isinstance(spec, EndpointSpec) or spec.sink is None:
        return ""
    return label_of(spec.sink)
