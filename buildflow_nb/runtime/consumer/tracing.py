"""Which elements of a chunk are traced, and what is noted of them on their way.

    chunk ──begin──► visits ──(called)──► worked ──► carried ──(pushed)──► settled

What a chunk took is measured once for all that are in it; the call itself only for those that are
traced. An element that fails untraced gets its visit then, with what is known of its chunk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from buildflow_nb.core.primitive import TraceContext
from buildflow_nb.core.status.traces import Part
from buildflow_nb.runtime.consumer.code import NOT_TRACED, ChunkOutcome
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.observability.call_notes import Written
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.observability.visits import Visit, Worked, keepable
from buildflow_nb.runtime.sinks.push import Faults

__all__ = ("ChunkTracing",)


@dataclass(slots=True)
class ChunkTracing:
    """Traces the chunks of one consumer; `sink` names what it writes, "" for nothing.

    Used on the loop only.
    """

    ledger: Ledger
    sink: str
    ends: str = ""
    """Why a trace ends in the sink; "" where it goes on."""

    def begin(self, chunk: Chunk, now: float) -> Mapping[int, Visit]:
        """The visits of those elements that are traced, in order; none where nothing is."""
        book = self.ledger.traces
        if not book.rate:
            return NOT_TRACED
        found: dict[int, Visit] = {}
        fed = False
        for i, context in chunk.contexts():
            batch, _ = chunk.find(i)
            if context is not None and not batch.tries:
                if not context.sampled:
                    continue
                fed = True
            found[i] = Visit(batch.pulled_at, batch.tries + 1, context, sampled=True)
        count = len(chunk)
        if fed:
            book.fed(now)
        picks = book.draw(count, now)
        for i in picks:
            if i not in found:
                found[i] = Visit(chunk.find(i)[0].pulled_at, sampled=True)
        if count - 1 not in found:
            found[count - 1] = Visit(chunk.parts[-1][0].pulled_at)
        return found if len(found) == 1 else dict(sorted(found.items()))

    def worked(self, chunk: Chunk, outcome: ChunkOutcome, now: float) -> None:
        """Note what became of those that are traced, once their chunk is through the code."""
        visits = outcome.visits
        if not visits:
            return
        ledger, worked = self.ledger, self._worked(chunk, outcome, now)
        for i, visit in visits.items():
            visit.worked = worked
            if i not in outcome.faults:
                self._show(visit, outcome, i)
            ledger.traces.add(visit)

    def _worked(self, chunk: Chunk, outcome: ChunkOutcome, now: float) -> Worked:
        return Worked(
            now - outcome.seconds,
            outcome.decode_s,
            outcome.code_s,
            outcome.encode_s,
            len(chunk),
        )

    def _show(self, visit: Visit, outcome: ChunkOutcome, i: int) -> None:
        ledger, given = self.ledger, outcome.given(i)
        element = keepable(outcome.values[i])
        if ledger.redaction.masked:
            element, given = ledger.redaction.element(element), ledger.shown(given)
        visit.element, visit.results = element, tuple(map(keepable, given))

    def carried(self, outcome: ChunkOutcome, now: float) -> Mapping[int, TraceContext] | None:
        """The traces that items take along into the sink, by item; None where none does."""
        if not self.sink:
            return None
        found: dict[int, TraceContext] = {}
        slots = outcome.slots
        for i, visit in outcome.visits.items():
            if i in outcome.faults:
                continue
            first, end = i, i + 1
            if slots is not None:
                first, end = bisect_left(slots, i), bisect_right(slots, i)
                if first == end:
                    continue  # it was dropped
            written = visit.writes(self.sink, now, self.ends)
            if visit.sampled and not self.ends:
                found |= dict.fromkeys(range(first, end), visit.context_of(written))
        return found or None

    def settled(
        self, chunk: Chunk, outcome: ChunkOutcome, final: Faults, now: float
    ) -> Mapping[int, Visit]:
        """All visits of a chunk that is pushed: those that failed, with `final` faults or others.

        Gives them by element; each that failed has one.
        """
        book = self.ledger.traces
        if not book.rate:
            return NOT_TRACED
        for i, visit in outcome.visits.items():
            if i not in outcome.faults and i not in final:
                visit.end(now, self._fate(visit))
        if not outcome.faults and not final:
            return outcome.visits
        return self._failed(chunk, outcome, final, now)

    def _fate(self, visit: Visit) -> str:
        if not self.sink:
            return "done"
        return "written" if visit.results else "dropped"

    def _failed(
        self, chunk: Chunk, outcome: ChunkOutcome, final: Faults, now: float
    ) -> Mapping[int, Visit]:
        visits = dict(outcome.visits)
        worked: Worked | None = None
        for i, error in {**outcome.faults, **final}.items():
            batch, k = chunk.find(i)
            visit = visits.get(i)
            if visit is None:
                worked = worked or self._untraced(chunk, outcome, now)
                visit = visits[i] = Visit(batch.pulled_at, batch.tries + 1, worked=worked)
                visit.context = batch.contexts.get(k) if batch.contexts else None
            raw = self.ledger.redaction.raw(batch.items[k])
            visit.element = keepable(raw) if visit.element is None else visit.element
            visit.failed_in = Part.SINK if i in final else outcome.failed_in(i)
            visit.error = self.ledger.said(describe(error), batch.items[k])
            visit.origin = batch.origin(k) if batch.origin is not None else ""
            visit.end(now, "failed")
            if i in final:
                _refuse(visit.written, visit.error)
            self.ledger.traces.fail(visit)
        return visits

    def _untraced(self, chunk: Chunk, outcome: ChunkOutcome, now: float) -> Worked:
        """What is known of a chunk of which no other element is traced."""
        seen = next((visit.worked for visit in outcome.visits.values()), None)
        return seen or self._worked(chunk, outcome, now)


def _refuse(written: list[Written], error: str) -> None:
    for each in written:
        each.error = error
