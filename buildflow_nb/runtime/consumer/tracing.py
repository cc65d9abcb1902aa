"""Which elements of a chunk are traced, and what is noted of them on their way.

    chunk ──begin──► visits ──(called)──► worked ──► carried ──(pushed)──► settled

What a chunk took is measured once for all that are in it; the call itself only for those that are
traced. An element that fails untraced gets its visit then, with what is known of its chunk, and so
does the very last one when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext, new_span_id
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.consumer.outcome import NOT_TRACED, ChunkOutcome
from buildflow_nb.runtime.observability.ledger import Ledger, source_label
from buildflow_nb.runtime.observability.visits import FAILED, Visit, Worked, keepable
from buildflow_nb.runtime.sinks.push import Faults

__all__ = ("ChunkTracing",)


@dataclass(slots=True)
class ChunkTracing:
    """Traces the chunks of one consumer; `sink` names what it writes, "" for nothing.

    `ends` is why a trace ends in the sink; "" where it goes on. Used on the loop only.
    """

    ledger: Ledger
    sink: str
    ends: str = ""

    @classmethod
    def of(cls, spec: ConsumerSpec, ledger: Ledger) -> Self:
        """The tracing of a consumer."""
        ledger.traces.source = source_label(spec)
        return cls(ledger, "" if spec.sink is None else label_of(spec.sink))

    def begin(self, chunk: Chunk, now: float, *, slow: bool = False) -> Mapping[int, Visit]:
        """The visits of those elements that are traced, in order; none where nothing is.

        Where the code is `slow`, each call is noted, so that one that fails is known whole.
        """
        book = self.ledger.traces
        if not book.rate:
            return NOT_TRACED
        found: Mapping[int, Visit] = NOT_TRACED
        for batch, _, _ in chunk.parts:
            if batch.contexts or batch.tries:
                found = self._asked(chunk, now)
                break
        drawn = book.draw(len(chunk), now)
        if drawn:
            found = self._drawn(chunk, drawn, found)
        return self._all(chunk, found) if slow else found

    @staticmethod
    def _all(chunk: Chunk, found: Mapping[int, Visit]) -> Mapping[int, Visit]:
        """Those found, and all others, which are only kept where they fail."""
        made: dict[int, Visit] = {}
        for batch, start, end in chunk.parts:
            for _ in range(start, end):
                i = len(made)
                made[i] = found.get(i) or Visit(batch.pulled_at)
        return made

    @staticmethod
    def _drawn(chunk: Chunk, drawn: int, found: Mapping[int, Visit]) -> Mapping[int, Visit]:
        """Those found, and so many of the first ones."""
        made: dict[int, Visit] = {}
        batch, start, end = chunk.parts[0]
        for i in range(drawn):
            k = start + i
            if k >= end:
                batch, k = chunk.find(i)
            visit = made[i] = found.get(i) or Visit(batch.pulled_at)
            visit.sampled = True
            if batch.contexts:
                visit.context = batch.contexts.get(k)
        return dict(sorted({**found, **made}.items())) if found else made

    def _asked(self, chunk: Chunk, now: float) -> dict[int, Visit]:
        """Visits of those that came with a trace, or are tried again."""
        found: dict[int, Visit] = {}
        for i, context in chunk.contexts():
            batch, _ = chunk.find(i)
            if context is not None and not batch.tries:
                if not context.sampled:
                    continue
                self.ledger.traces.fed(now)
            visit = found[i] = Visit(batch.pulled_at)
            visit.tries, visit.context, visit.sampled = batch.tries + 1, context, True
        return found

    def worked(self, chunk: Chunk, outcome: ChunkOutcome) -> None:
        """Note what became of those that are traced, once their chunk is through the code."""
        book = self.ledger.traces
        if not book.rate:
            return
        worked = outcome.worked = self._worked(outcome)
        values, results, faults = outcome.values, outcome.results, outcome.faults
        masked = self.ledger.redaction.masked
        last = len(values) - 1
        for i, visit in outcome.visits.items():
            visit.worked = worked
            if not visit.sampled and i != last:
                continue
            if i not in faults:
                visit.value, visit.result = keepable(values[i]), keepable(results[i])
                if masked:
                    self._mask(visit)
            if visit.sampled:
                book.keep(visit)
        if last in outcome.visits:
            book.last = outcome.visits[last]
        elif last not in faults:
            pulled = chunk.parts[-1][0].pulled_at
            value, result = keepable(values[last]), keepable(results[last])
            made = _Last(self, pulled, worked, value, result)
            book.last = made() if masked else made

    def _worked(self, outcome: ChunkOutcome) -> Worked:
        return Worked(
            outcome.began,
            outcome.decode_s,
            outcome.code_s,
            outcome.encode_s,
            len(outcome.values),
            self.sink,
            self.ends,
            outcome.handed,
        )

    def _mask(self, visit: Visit) -> None:
        ledger = self.ledger
        visit.value = ledger.redaction.element(visit.value)
        visit.result = ledger.shown(visit.gave)

    def carried(self, outcome: ChunkOutcome) -> Mapping[int, TraceContext] | None:
        """The traces that items take along into the sink, by item; None where none does."""
        if not self.sink or self.ends:
            return None
        found: dict[int, TraceContext] = {}
        for i, visit in outcome.visits.items():
            if not visit.sampled or i in outcome.faults:
                continue
            places = _places(outcome.slots, i)
            if not places:
                continue
            visit.sink_id = visit.sink_id or new_span_id()
            found |= dict.fromkeys(places, visit.outgoing(visit.sink_id))
        return found or None

    def settled(
        self, chunk: Chunk, outcome: ChunkOutcome, final: Faults, now: float
    ) -> Mapping[int, Visit]:
        """Note that a chunk is pushed; `final` are those elements that the sink refused.

        Gives the visits of those that failed, there or before.
        """
        worked = outcome.worked
        if worked is None:
            return NOT_TRACED
        worked.stored = now
        if not outcome.faults and not final:
            return NOT_TRACED
        return self._failed(chunk, outcome, worked, final)

    def _failed(
        self, chunk: Chunk, outcome: ChunkOutcome, worked: Worked, final: Faults
    ) -> Mapping[int, Visit]:
        found: dict[int, Visit] = {}
        for i, error in {**outcome.faults, **final}.items():
            batch, k = chunk.find(i)
            visit = found[i] = outcome.visits.get(i) or Visit(batch.pulled_at)
            if not visit.sampled:
                visit.worked, visit.tries = worked, batch.tries + 1
                visit.context = batch.contexts.get(k) if batch.contexts else None
            if not visit.sampled or i in outcome.faults:
                visit.value = keepable(self.ledger.redaction.raw(batch.items[k]))
            if not visit.sampled and i not in outcome.faults:
                visit.result = keepable(self.ledger.shown(outcome.given(i)))
            visit.failed_in = Part.SINK if i in final else outcome.failed_in(i)
            visit.error = self.ledger.said_error(error, batch.items[k])
            visit.origin = batch.origin(k) if batch.origin is not None else ""
            visit.end(worked.stored or worked.handed, FAILED)
            self.ledger.traces.fail(visit)
        return found


@dataclass(frozen=True, slots=True)
class _Last:
    """The very last element, which is no visit until somebody looks."""

    tracing: ChunkTracing
    pulled: float
    worked: Worked
    value: object
    result: object

    def __call__(self) -> Visit:
        visit = Visit(self.pulled)
        visit.worked, visit.value, visit.result = self.worked, self.value, self.result
        if self.tracing.ledger.redaction.masked:
            self.tracing._mask(visit)  # noqa: SLF001  (its own module)
        return visit


def _places(slots: Sequence[int] | None, element: int) -> range:
    """Which items an element gave."""
    if slots is None:
        return range(element, element + 1)
    return range(bisect_left(slots, element), bisect_right(slots, element))
