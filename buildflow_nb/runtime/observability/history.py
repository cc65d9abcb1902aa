"""Writes down, once a second, what the processors of a run have done since the last time.

Nothing is counted for it that was not counted before, but latencies by the second; so it costs by
the processor and second, not by the element. Memory is bounded: 660 rows of a second, 360 of ten
seconds, and what is older in compressed blocks of an hour, of which a day is kept.

A row is written when its second is over. Where the loop was held up, one row stands for all the
seconds that it was; where the machine slept, the clock of the loop slept as well, and there is a
gap. A processor that has ended has no rows.

Used on the loop, but for `view`, which may be read on any thread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from buildflow_nb.core.events import Event, StateChanged
from buildflow_nb.core.status.history import (
    COARSE_KEPT_S,
    COARSE_S,
    FINE_KEPT_S,
    MARKS,
    NO_BACKLOG,
    History,
    Mark,
    Row,
    Rows,
)
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted, quantiles_in

__all__ = ("Counting", "HistoryRecorder", "Saved", "View")

EARLY_S = 0.02  # by which a timer may go off before its time
SLACK = 60  # fine rows beyond those that are kept, since taking them away one by one is dear
BLOCK = 360  # coarse rows: an hour
PACKED_AT_ONCE = 4  # blocks a second, so that no second has to pack those of all processors
MOST = 2**32 - 1  # of what is counted in a row
MOST_SECONDS = 255  # that one row can stand for
LONGEST_BACK_S = 10  # a clock that was set back further begins anew
# A tuple, most frequent first: to look in a set would call the hash of an Enum, which is Python's.
_AT_WORK = (State.RUNNING, State.WAITING, State.STARTING, State.DRAINING)
_KINDS = {State.STARTING: "started", State.STOPPED: "stopped"} | {
    State.DONE: "done",
    State.FAILED: "failed",
}


class Counting(Protocol):
    """A processor at work, as far as it is counted here."""

    ledger: Ledger

    def counted(self) -> Counted:
        """What it has counted until this moment."""
        ...


class Saved(NamedTuple):
    """Rows and marks that are to be kept beyond this process."""

    rows: Mapping[str, Rows]
    marks: tuple[Mark, ...]

    def __bool__(self) -> bool:
        return bool(self.rows or self.marks)


@dataclass(frozen=True, slots=True)
class View:
    """What is remembered of one processor, copied, and not unpacked yet.

    The last of the coarse rows is of the step under way.
    """

    processor_id: str
    fine: Rows
    blocks: tuple[tuple[bytes, int], ...]
    coarse: Rows
    marks: tuple[Mark, ...]

    def history(self, past: Rows, marks: Iterable[Mark], now: float) -> History:
        """All of it, with what other processes have kept (`past`, and their marks)."""
        own = [*(Rows.unpacked(data, count) for data, count in self.blocks), self.coarse]
        coarse = Rows.joined([past, *own]).since(now - COARSE_KEPT_S)
        found = sorted(dict.fromkeys([*marks, *self.marks]), key=lambda mark: mark.at)
        kept = [mark for mark in found if mark.at >= now - COARSE_KEPT_S]
        fine = self.fine.since(now - FINE_KEPT_S)
        return History(self.processor_id, fine, coarse, tuple(kept[-MARKS:]))


@dataclass(slots=True)
class _Step:
    """The ten seconds under way."""

    at: int
    seconds: int = 0
    taken: int = 0
    given: int = 0
    failed: int = 0
    backlog: int = NO_BACKLOG
    in_flight: int = 0
    latencies: dict[int, int] = field(default_factory=dict)

    def row(self) -> Row:
        p50_s, p99_s = quantiles_in(self.latencies)
        seconds = min(self.seconds, COARSE_S)
        counts = self.taken, self.given, self.failed
        return Row(self.at, seconds, *counts, p50_s, p99_s, self.backlog, self.in_flight)


class _Book:
    """What is remembered of one processor."""

    def __init__(self) -> None:
        self.fine = Rows()
        self._at, *others = self.fine.columns
        self._appends = tuple(column.append for column in others)
        self.coarse = Rows()
        self.blocks: deque[tuple[bytes, int]] = deque()
        self.marks: deque[Mark] = deque(maxlen=MARKS)
        self.unsaved = 0  # of the coarse rows, the last ones
        self.live = self.is_full = False
        self.version = 1
        self._ledger: Ledger | None = None
        self._last = (0, 0, 0)
        self._step: _Step | None = None

    def is_of(self, ledger: Ledger) -> None:
        """Count from nothing on, where this is another ledger than before."""
        if ledger is not self._ledger:
            self._ledger, self._last = ledger, (0, 0, 0)
            # One that has ended within its first second has its row yet to come.
            self.live, self.version = ledger.started_at is not None, 1

    def take(self, ledger: Ledger, counted: Counted, at: int, seconds: int) -> None:
        """Write down the seconds from `at` on; flat, since it is done for each processor a second.

        What is counted only grows: a replica that does not answer for a while takes its part out,
        and brings it again.
        """
        taken, given, failed, in_flight, backlog, _, _, _ = counted
        if backlog is None:
            backlog = NO_BACKLOG
        step = self._step
        if step is None or not step.at <= at < step.at + COARSE_S:
            step = self._next_step(at)
        step.seconds += seconds
        if backlog > step.backlog:  # noqa: PLR1730  (a call costs more)
            step.backlog = backlog
        if in_flight > step.in_flight:  # noqa: PLR1730
            step.in_flight = in_flight
        fresh = ledger.metrics.latency.take_fresh()
        if (taken, given, failed) == self._last and not fresh:
            self._put(at, seconds, 0, 0, 0, math.nan, math.nan, backlog, in_flight)
            return
        had, gave, lost = self._last
        taken, given, failed = self._last = max(taken, had), max(given, gave), max(failed, lost)
        taken, given, failed = min(taken - had, MOST), min(given - gave, MOST), failed - lost
        p50_s, p99_s = quantiles_in(fresh)
        self._put(at, seconds, taken, given, failed, p50_s, p99_s, backlog, in_flight)
        step.taken += taken
        step.given += given
        step.failed += failed
        latencies = step.latencies
        for latency, count in fresh.items():
            latencies[latency] = latencies.get(latency, 0) + count

    def close_step(self, now: float) -> None:
        """Write the ten seconds down, if they are over."""
        step = self._step
        if step is not None and step.at + COARSE_S <= now:
            self.coarse.add(step.row())
            self.unsaved = min(self.unsaved + 1, len(self.coarse))
            self.is_full = len(self.coarse) >= BLOCK
            self._step = None

    def pack(self) -> bool:
        """Put an hour away, if there is one; whether there was."""
        if not self.is_full:
            return False
        hour = self.coarse.part(0, BLOCK)
        self.coarse.forget(BLOCK)
        self.is_full = len(self.coarse) >= BLOCK
        self.unsaved = min(self.unsaved, len(self.coarse))
        self.blocks.append((hour.packed(), BLOCK))
        if len(self.blocks) * BLOCK > COARSE_KEPT_S // COARSE_S:
            self.blocks.popleft()
        return True

    def steps(self) -> Rows:
        """A copy of the coarse rows, with the one that is under way."""
        found = self.coarse.part(0)
        if self._step is not None:
            found.add(self._step.row())
        return found

    def take_unsaved(self) -> Rows:
        """What was not kept yet; that is up to whoever asks from now on."""
        rows = self.coarse.part(len(self.coarse) - self.unsaved) if self.unsaved else Rows()
        self.unsaved = 0
        return rows

    def _put(self, at: int, *row: float) -> None:
        known = self._at
        if known and known[-1] >= at:
            if at > known[-1] - LONGEST_BACK_S:
                return  # the clock was set back a little: its seconds are there already
            self.fine.forget(len(known))
        known.append(at)
        for append, value in zip(self._appends, row):  # noqa: B905  (strict costs as much again)
            append(value)
        if len(known) > FINE_KEPT_S + SLACK:
            self.fine.forget(SLACK)

    def _next_step(self, at: int) -> _Step:
        self.close_step(math.inf)
        self._step = _Step(at - at % COARSE_S)
        return self._step


class HistoryRecorder:
    """The books of a run; `units` are those at work, by processor id."""

    def __init__(self, units: Callable[[], Mapping[str, Counting]], clock: Clock) -> None:
        self._units = units
        self._clock = clock
        self._books: dict[str, _Book] = {}
        self._marks: deque[Mark] = deque(maxlen=MARKS)  # of the flow as a whole
        self._unsaved: deque[Mark] = deque(maxlen=10 * MARKS)
        self._looked_at = clock.now()

    def go_on(self, earlier: HistoryRecorder) -> None:
        """Take over what an earlier run of the flow has written down."""
        self._books = earlier._books
        self._marks, self._unsaved = earlier._marks, earlier._unsaved

    async def run(self, due: Callable[[], None]) -> None:
        """Write each second down when it is over, for ever; `due` is called after each."""
        clock = self._clock
        self._looked_at = clock.now()
        while True:
            now = clock.time()
            await clock.sleep(math.floor(now + EARLY_S) + 1 - now)
            self.look()
            due()

    def look(self, *, ending: bool = False) -> None:
        """Write down what happened up to now; an end does not wait for its second."""
        now, moment = self._clock.time(), self._clock.now()
        passed, self._looked_at = moment - self._looked_at, moment
        seconds = min(max(round(passed), 1), MOST_SECONDS)
        end = math.floor(now + EARLY_S) + ending
        left = PACKED_AT_ONCE
        for name, unit in list(self._units().items()):
            book = self._books.get(name)
            if book is None:
                book = self._books[name] = _Book()
            ledger = unit.ledger
            book.is_of(ledger)
            ended = ledger.state not in _AT_WORK
            if not ended or book.live:
                book.take(ledger, unit.counted(), end - seconds, seconds)
                book.live = not ended
            if ledger.version != book.version:
                book.version = ledger.version
                self.mark("swapped", f"v{ledger.version}", name, end - 1)
            if ending or end % COARSE_S == 0 or book.is_full:
                book.close_step(math.inf if ending else end)
                left -= left > 0 and book.pack()

    def hear(self, event: Event) -> None:
        """Mark what begins and ends."""
        if isinstance(event, StateChanged) and event.processor_id is not None:
            kind = _KINDS.get(event.state)
            if kind is not None:
                self.mark(kind, "", event.processor_id, event.at)

    def mark(
        self, kind: str, text: str = "", processor_id: str | None = None, at: float | None = None
    ) -> None:
        """Note that something happened, now unless it is said when."""
        mark = Mark(self._clock.time() if at is None else at, kind, text, processor_id)
        self._unsaved.append(mark)
        if processor_id is None:
            self._marks.append(mark)
        else:
            self._books.setdefault(processor_id, _Book()).marks.append(mark)

    def view(self, processor_id: str) -> View:
        """A copy of what is remembered of a processor."""
        book = self._books.get(processor_id) or _Book()
        marks = (*book.marks, *self._marks)
        return View(processor_id, book.fine.part(0), tuple(book.blocks), book.steps(), marks)

    def unsaved(self) -> Saved:
        """What was written down since the last time that this was asked."""
        found = {name: book.take_unsaved() for name, book in self._books.items()}
        marks = tuple(self._unsaved)
        self._unsaved.clear()
        return Saved({name: rows for name, rows in found.items() if len(rows)}, marks)
