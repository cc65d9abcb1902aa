"""What a run counts as Prometheus reads it: the text exposition format, version 0.0.4.

Written by hand, since it is a page of text and the library's own registry would count a second
time. Every family has its HELP and TYPE; counters only grow, and start at 0 with each run; labels
are escaped as the format says (backslash, quote, line feed).

A histogram's buckets stand at steps of about 2.5; what it counts is exact to 7 %, as all latencies
here. Used on the loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted, bound_s

__all__ = ("BUCKETS_S", "CONTENT_TYPE", "CountedUnit", "Family", "exposition", "families")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
Labels = tuple[tuple[str, str], ...]


class CountedUnit(Protocol):
    """A processor at work."""

    ledger: Ledger

    def counted(self) -> Counted:
        """What it has counted until this moment."""
        ...


class Sample(NamedTuple):
    """One value; `suffix` is what stands behind the family's name."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """Values of one kind: "counter", "gauge" or "histogram"."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def exposition(found: Iterable[Family]) -> bytes:
    """The text."""
    lines: list[str] = []
    for family in found:
        lines.append(f"# HELP {family.name} {_escaped(family.help, quotes=False)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += (
            f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}"
            for one in family.samples
        )
    return ("\n".join(lines) + "\n").encode(errors="backslashreplace")


def families(
    flow_id: str, stack: str, units: Mapping[str, CountedUnit], started_at: float
) -> Iterator[Family]:
    """What a run has counted until now."""
    flow: Labels = (("flow", flow_id), ("stack", stack))
    of = {name: (*flow, ("processor", name)) for name in units}
    counted = {name: unit.counted() for name, unit in units.items()}

    def each(kind: str, name: str, said: str, values: Mapping[str, float]) -> Family:
        return Family(name, kind, said, [Sample(of[key], value) for key, value in values.items()])

    yield Family(
        "buildflow_elements_total",
        "counter",
        "Elements taken from sources (in), and results written or answered (out).",
        [
            Sample((*of[name], ("direction", direction)), value)
            for name, one in counted.items()
            for direction, value in (("in", one.taken), ("out", one.given))
        ],
    )
    failed = {name: one.failed for name, one in counted.items()}
    yield each(
        "counter", "buildflow_failed_elements_total", "Elements that failed for good.", failed
    )
    retried = {name: one.retried for name, one in counted.items()}
    yield each("counter", "buildflow_retries_total", "Tries of elements after an error.", retried)
    dropped = {name: one.dropped for name, one in counted.items()}
    yield each(
        "counter", "buildflow_dropped_elements_total", "Elements that gave nothing.", dropped
    )
    yield Family(
        "buildflow_responses_total",
        "counter",
        "Answers of routes by status.",
        [
            Sample((*of[name], ("code", str(code))), value)
            for name, one in counted.items()
            for code, value in sorted(one.codes.items())
        ],
    )
    yield Family(
        "buildflow_latency_seconds",
        "histogram",
        "Seconds from pull to settled, of routes from request to answer.",
        [one for name, unit in units.items() for one in _histogram(of[name], unit.ledger)],
    )
    in_flight = {name: one.in_flight for name, one in counted.items()}
    yield each(
        "gauge", "buildflow_in_flight_elements", "Elements taken, and not settled.", in_flight
    )
    waiting = {name: one.backlog for name, one in counted.items() if one.backlog is not None}
    yield each("gauge", "buildflow_backlog_elements", "Elements that wait at the source.", waiting)
    yield Family(
        "buildflow_processor_state",
        "gauge",
        "1 for the state that a processor is in, 0 for all others.",
        [
            Sample((*of[name], ("state", state.value)), float(unit.ledger.state is state))
            for name, unit in units.items()
            for state in State
        ],
    )
    versions = {name: unit.ledger.version for name, unit in units.items()}
    yield each(
        "gauge", "buildflow_code_version", "Which code of a processor it is, from 1.", versions
    )
    yield Family(
        "buildflow_run_start_time_seconds",
        "gauge",
        "When the run began, in seconds since the epoch.",
        [Sample(flow, started_at)],
    )


def _histogram(labels: Labels, ledger: Ledger) -> Iterator[Sample]:
    latency = ledger.metrics.latency
    totals = latency.totals()
    steps = sorted(totals)
    seen, at = 0, 0
    for bound in BUCKETS_S:
        while at < len(steps) and bound_s(steps[at]) <= bound * 1.000001:
            seen += totals[steps[at]]
            at += 1
        yield Sample((*labels, ("le", _number(bound))), seen, "_bucket")
    count = sum(totals.values())
    yield Sample((*labels, ("le", "+Inf")), count, "_bucket")
    yield Sample(labels, latency.sum_s, "_sum")
    yield Sample(labels, count, "_count")


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    whole = math.isfinite(value) and value == int(value) and abs(value) < 2**53
    return str(int(value)) if whole else repr(float(value))
