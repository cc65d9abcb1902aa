"""What is remembered of one processor: numbers, the last elements, the failures, the log.

A ledger outlives the code that it is about: when a cell is re-run and the processor swapped, the
totals go on and the failures stay to be inspected. All rings are bounded. Written on the loop
thread; `Ledger.snapshot` and the copies given out are safe to hand to any thread.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Sequence

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.events import ElementFailed, Listener, StateChanged
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.snapshot import Passage, ProcessorSnapshot, State
from buildflow_nb.runtime.activity import Activity
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.hidden import in_texts
from buildflow_nb.runtime.observability.kept import EXCEPTIONS, Fault, Kept
from buildflow_nb.runtime.observability.metrics import Metrics
from buildflow_nb.runtime.observability.recording import Recorder
from buildflow_nb.runtime.observability.redaction import OPEN, Redaction
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("MAX_PASSAGES", "PASSAGES", "Ledger")

PASSAGES = 20  # elements that `peek` shows
MAX_PASSAGES = 100_000  # of a processor that is tapped
FAILURES = 200  # failures kept; older ones are forgotten


class Ledger:
    """The book of one processor; `emit` hears of its states and failures."""

    def __init__(
        self,
        processor_id: str,
        clock: Clock,
        emit: Listener = lambda _: None,
        activity: Activity | None = None,
    ) -> None:
        self._emit = emit
        self.processor_id = processor_id
        self.clock = clock
        self.activity = activity or Activity()
        self.metrics = Metrics(clock.now())
        self.passages: deque[Passage] = deque(maxlen=PASSAGES)
        self.failures: deque[Kept] = deque(maxlen=FAILURES)
        self.redaction: Redaction = OPEN
        self.recorder: Recorder | None = None
        self.log = logs.LogRing()
        self.state = State.PENDING
        self.reason = ""
        self._remark = self._opening = ""
        self.version = 1
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self._failure_number = 0
        self._with_exception: deque[Kept] = deque()

    def enter(self, state: State, reason: str = "") -> None:
        """Move to a state; the reason is for people."""
        reason = self.log.told(reason)
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
        text = self.log.told(text)
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
        self, elements: Sequence[object], results: Sequence[tuple[object, ...]], seconds: float
    ) -> None:
        """Remember elements, newest last, with what each gave; `seconds` is for one of them.

        Secrets are masked here, so that nothing that shows passages can show them.
        """
        at, redaction = self.clock.time(), self.redaction
        if redaction.masked:
            elements = [redaction.element(element) for element in elements]
            results = [self.shown(given) for given in results]
        for element, given in zip(elements, results, strict=True):
            self.passages.append(Passage(at, element, given, seconds))

    def shown(self, results: Sequence[object]) -> tuple[object, ...]:
        """Results as a person may see them, in texts as in fields."""
        found = tuple(map(self.redaction.result, results))
        hidden = self.log.hidden
        return found if hidden is None else tuple(in_texts(one, hidden.masked) for one in found)

    def said(self, text: str, value: object) -> str:
        """A text of this processor, about an input, without any secret."""
        return self.log.told(self.redaction.text(text, value))

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
        said = "" if error is None else self.said(describe(error), raw)
        self.recorder.take(redaction.raw(raw), self.shown(tuple(results)), said)

    def regained(self, element: object, results: tuple[object, ...], seconds: float) -> None:
        """Count and keep_passages an element that passed when a person had it retried."""
        self.metrics.retried += 1
        self.metrics.given.add(len(results), self.clock.now())
        self.metrics.dropped += not results
        self.passed((element,), (results,), seconds)

    def fail(self, fault: Fault, fate: str) -> Kept:
        """Remember a failure and count it."""
        self._failure_number += 1
        self.metrics.failed += 1
        kept = Kept(self, self._failure_number, fault, fate)
        self.failures.append(kept)
        self.keep_exception(kept)
        self._emit(ElementFailed(kept.as_data()))
        return kept

    def keep_exception(self, kept: Kept) -> None:
        """Let the newest failures keep their errors, and no others."""
        if kept in self._with_exception:
            self._with_exception.remove(kept)
        self._with_exception.append(kept)
        if len(self._with_exception) > EXCEPTIONS:
            self._with_exception.popleft().forget_exception()

    def forget(self, kept: Kept) -> None:
        """Take a failure off the list; one that has left it by age is not there any more."""
        for ring in (self.failures, self._with_exception):
            if kept in ring:
                ring.remove(kept)

    def context(self) -> contextvars.Context:
        """A context in which what is printed and logged belongs to this processor."""
        context = contextvars.copy_context()
        context.run(logs.current.set, self.log)
        return context

    def snapshot(self, spec: ProcessorSpec, backlog: int | None) -> ProcessorSnapshot:
        """The processor at this moment."""
        m, now = self.metrics, self.clock.now()
        p50, p95, p99 = m.latency.quantiles(0.5, 0.95, 0.99)
        return ProcessorSnapshot(
            processor_id=self.processor_id,
            kind=spec.kind,
            state=self.state,
            reason=self._said(),
            source=_source_label(spec),
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
        )


def _source_label(spec: ProcessorSpec) -> str:
    if isinstance(spec, ConsumerSpec):
        return label_of(spec.source)
    return f"{spec.method} {spec.route}"


def _sink_label(spec: ProcessorSpec) -> str:
    if isinstance(spec, EndpointSpec) or spec.sink is None:
        return ""
    return label_of(spec.sink)
