"""The profile of a unit: where the time of its elements went in the last minute."""

from __future__ import annotations

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.profile import SPAN_S, Profile
from buildflow_nb.runtime.observability.part_times import Sums
from buildflow_nb.runtime.unit import Unit

__all__ = ("profile_now", "profile_of")


def profile_now(unit: Unit) -> Profile:
    """The profile of the last minute, or of its life if that is shorter; on the loop."""
    ledger = unit.ledger
    now = ledger.clock.now()
    span_s = min(SPAN_S, max(now - ledger.metrics.started, 1.0))
    sums, p50_s = ledger.metrics.parts.last(now, span_s), unit.snapshot().p50_s
    options = unit.spec.options  # of one that is done, what it had
    declared = options.num_replicas * getattr(options, "num_concurrency", 1)
    workers = unit.load().workers or declared
    return profile_of(unit.spec, sums, span_s, workers, p50_s)


def profile_of(
    spec: ProcessorSpec, sums: Sums, span_s: float, workers: int, p50_s: float | None
) -> Profile:
    """The profile of a processor of these sums, which are of `span_s` seconds."""
    consumes = isinstance(spec, ConsumerSpec)
    count = max(sums.elements, 1.0)
    work_s = sums.decode_s + sums.code_s + sums.encode_s
    sink = None if isinstance(spec, EndpointSpec) else spec.sink
    return Profile(
        processor_id=spec.id,
        kind=spec.kind,
        source=label_of(spec.source) if isinstance(spec, ConsumerSpec) else spec.route,
        sink="" if sink is None else label_of(sink),
        span_s=span_s,
        elements=int(sums.elements),
        wait_s=max(sums.total_s - work_s - sums.sink_s, 0.0) / count,
        decode_s=sums.decode_s / count,
        code_s=sums.code_s / count,
        encode_s=sums.encode_s / count,
        sink_s=sums.sink_s / count,
        workers=workers,
        busy=min(work_s / max(span_s * workers, 1e-9), 1.0) if consumes else None,
        pushes=int(sums.pushes),
        pushed=int(sums.pushed),
        pushing_s=sums.pushing_s,
        p50_s=p50_s,
    )
