"""What a running flow looks like at one moment: frozen data that every face renders.

The runtime makes these on its own thread and hands them over whole, so a reader on any thread
sees one consistent moment and never holds a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from buildflow_nb.core.primitive import stack_said

__all__ = (
    "HISTORY_S",
    "LOOK_TIMEOUT_S",
    "Failure",
    "FlowSnapshot",
    "Passage",
    "ProcessorSnapshot",
    "State",
    "harmless",
    "run_text",
    "served_text",
)

LOOK_TIMEOUT_S = 5.0  # nothing but code that blocks the loop makes a look take long
HISTORY_S = 300  # seconds of throughput that a snapshot carries, for a five-minute sparkline


class State(Enum):
    """The life of a processor, and of a run."""

    PENDING = "pending"  # declared, not started
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"  # a temporary fault; tries again by itself
    DRAINING = "draining"
    DONE = "done"  # the source ended and everything was pushed
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it does no more work unless started again."""
        return self in _ENDED


_ENDED = frozenset({State.DONE, State.STOPPED, State.FAILED})


@dataclass(frozen=True, slots=True)
class Passage:
    """One element that went through a processor, newest last in `peek`.

    `at` is seconds since the epoch; `seconds` is how long the call took, for one element.
    `trace_id` names its trace, "" where there is none.
    """

    at: float
    element: object
    results: tuple[object, ...]
    seconds: float
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One element that failed for good, kept with all that is needed to understand it."""

    number: int
    at: float
    processor_id: str
    element: object
    error: str
    traceback: str
    tries: int
    origin: str | None
    fate: str  # "dead-lettered", "given back" or "dropped"; "retried" or "discarded" at last
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class ProcessorSnapshot:
    """Numbers of one processor: totals since it was started, rates over the last seconds.

    Latencies are seconds from pull to ack for consumers and from request to response for routes.
    `history` holds elements in per second, oldest first, at most `HISTORY_S` of them. `failed`
    counts elements that failed for good; one that passes when it is retried counts as out instead.
    `failures_kept` of them can be looked at and retried. A source that `ends` is read once, and its
    backlog is what is left of it. `quiet_s` is seconds since the last element came, None where none
    did. `replicas` are there, `wanted` there shall be; `scaling` is why, for people.
    """

    processor_id: str
    kind: str
    state: State
    reason: str = ""
    source: str = ""
    sink: str = ""
    version: int = 1
    elements_in: int = 0
    elements_out: int = 0
    dropped: int = 0
    failed: int = 0
    retried: int = 0
    in_flight: int = 0
    backlog: int | None = None
    in_per_s: float = 0.0
    out_per_s: float = 0.0
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    codes: tuple[tuple[int, int], ...] = ()
    history: tuple[int, ...] = ()
    quiet_s: float | None = None
    failures_kept: int = 0
    replicas: int = 1
    wanted: int = 1
    scaling: str = ""
    ends: bool = False

    @property
    def progress(self) -> float | None:
        """How much of a source that ends is read, from 0 to 1; None where that cannot be told."""
        if not self.ends or self.backlog is None:
            return None
        return self.elements_in / max(self.elements_in + self.backlog, 1)

    @property
    def left_s(self) -> float | None:
        """In how many seconds it is read at this pace; None where that cannot be told."""
        if not self.ends or not self.backlog or self.in_per_s <= 0:
            return None
        return self.backlog / self.in_per_s

    @property
    def replicas_said(self) -> str:
        """How many replicas there are, and why; "" for one that nothing is to be said of."""
        if self.state.ended or (self.replicas == self.wanted == 1 and not self.scaling):
            return ""
        of = "" if self.replicas == self.wanted else f" of {self.wanted}"
        text = f"{self.replicas}{of} replica{'' if self.wanted == 1 and of == '' else 's'}"
        return f"{text} ({self.scaling})" if self.scaling else text


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """A whole run at one moment; `at` is seconds since the epoch, `run_id` what it is called.

    `since` is when its state began, in seconds since the epoch.

    `drained` says that every source is at its end, or was found empty after everything that any
    processor had in flight was settled.
    """

    flow_id: str
    stack: str
    state: State
    at: float
    started_at: float | None
    address: str | None
    processors: tuple[ProcessorSnapshot, ...]
    run_id: str = field(default="", kw_only=True)
    drained: bool = field(default=False, kw_only=True)
    cloud: str = field(default="", kw_only=True)
    since: float | None = field(default=None, kw_only=True)

    @property
    def stack_said(self) -> str:
        """The stack's name, and its cloud."""
        return stack_said(self.stack, self.cloud)

    @property
    def finished(self) -> int:
        """Elements that are done with, over all processors."""
        return sum(p.elements_in - p.in_flight for p in self.processors)

    @property
    def nothing_worked(self) -> str:
        """That every element that came to a consumer has failed, "" where one did not."""
        consumers = [p for p in self.processors if p.kind == "consumer"]
        came = sum(p.elements_in - p.in_flight for p in consumers)
        failed = [p for p in consumers if p.failed]
        if not failed or sum(p.failed for p in failed) < came:
            return ""
        said = (f"all {p.failed:,} elements of consumer {p.processor_id!r}" for p in failed)
        return f"nothing worked: {', '.join(said)} failed; what failed is listed above"

    def processor(self, processor_id: str) -> ProcessorSnapshot | None:
        """The processor of that id, if it is there."""
        return next((p for p in self.processors if p.processor_id == processor_id), None)


# A run at one moment as plain text: a line for the flow, a line for each processor.
# What comes from elements and their errors is written so that no terminal obeys it.


def served_text(snapshot: FlowSnapshot, runtime_address: str | None) -> str:
    """Which flow runs, and where it answers."""
    parts = [f"flow {snapshot.flow_id!r} runs on stack {snapshot.stack_said}"]
    parts += [f"serving at {snapshot.address}"] if snapshot.address else []
    parts += [f"runtime server at {runtime_address}"] if runtime_address else []
    return ", ".join(parts)


def run_text(snapshot: FlowSnapshot) -> str:
    """Write states and numbers."""
    head = f"flow {snapshot.flow_id!r} on stack {snapshot.stack_said}: {snapshot.state.value}"
    if snapshot.address and not snapshot.state.ended:
        head += f", {snapshot.address}"
    return "\n".join([head, *(_line(processor) for processor in snapshot.processors)])


def _line(p: ProcessorSnapshot) -> str:
    text = f"  {p.processor_id}  {p.kind}  {p.state.value}  {p.elements_in:,} in"
    text += f"  {p.elements_out:,} out  {p.failed:,} failed"
    text += f"  {p.replicas_said}" if p.replicas_said else ""
    return f"{text}  ({harmless(p.reason)})" if p.reason else text


def harmless(text: str) -> str:
    """A line that came from elsewhere (an element, its error), with nothing that steers."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
