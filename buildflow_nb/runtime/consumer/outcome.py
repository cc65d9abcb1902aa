"""What became of a chunk: values, results, items for the sink, faults, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.status.traces import Part
from buildflow_nb.runtime.concurrency.calls import flatten
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.observability.metrics import Metrics
from buildflow_nb.runtime.observability.visits import Visit, Worked

__all__ = ("FAULTY", "NOT_TRACED", "ChunkOutcome")

NOT_TRACED: Mapping[int, Visit] = MappingProxyType({})


class _Faulty:
    """Stands for an element that could not be decoded."""


FAULTY = _Faulty()


@dataclass(slots=True)
class ChunkOutcome:
    """What became of a chunk.

    `items` are in the sink's wire form. `slots` says which element each item came from; None means
    that item *i* came from element *i*. `faults` maps elements to errors.
    """

    values: Sequence[object] = ()
    results: list[Any] = field(default_factory=list)
    items: Sequence[object] = ()
    slots: list[int] | None = None
    faults: dict[int, BaseException] = field(default_factory=dict)
    dropped: int = 0
    lines: int = 0  # of the log before it
    seconds: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    began: float = 0.0  # when a worker took it up, by `time.perf_counter`
    handed: float = 0.0  # when it was handed on, in the ledger's
    visits: Mapping[int, Visit] = field(default_factory=lambda: NOT_TRACED)
    """Those that are traced, by element."""
    worked: Worked | None = None
    """What is kept of its times, where anything is traced."""

    @property
    def code_s(self) -> float:
        """Seconds that the calls took, all together."""
        return max(self.seconds - self.decode_s - self.encode_s, 0.0)

    def count_times(self, metrics: Metrics, chunk: Chunk, now: float) -> None:
        """Count where the time of all its elements went, now that they are done with."""
        count, total_s = 0, 0.0
        for batch, start, end in chunk.parts:
            some, latency_s = end - start, now - batch.pulled_at
            metrics.latency.add(latency_s, some, now)
            count += some
            total_s += latency_s * some
        sink_s = (now - self.handed) * count
        times = (self.decode_s, self.code_s, self.encode_s, sink_s)
        metrics.parts.add(now, count, total_s, *times)

    def given(self, element: int) -> tuple[object, ...]:
        """What the code returned for one element, flattened."""
        return tuple(flatten(self.results[element]))

    def traced_as(self, element: int) -> str:
        """The trace of an element that is sampled, "" for any other."""
        visit = self.visits.get(element)
        return visit.trace_id if visit is not None and visit.sampled else ""

    def failed_in(self, element: int) -> Part:
        """In which part an element at fault failed."""
        if self.values[element] is FAULTY:
            return Part.DECODE
        gave = self.results[element] is not None
        error = self.faults[element]
        return Part.ENCODE if gave and isinstance(error, ConversionError) else Part.CODE
