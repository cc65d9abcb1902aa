"""What a run remembers of its processors, from any thread: elements, failures, lines, traces."""

from __future__ import annotations

from buildflow_nb.core.nearest import unknown_processor
from buildflow_nb.core.status.profile import Profile
from buildflow_nb.core.status.snapshot import LOOK_TIMEOUT_S, Passage
from buildflow_nb.core.status.traces import Trace
from buildflow_nb.runtime.concurrency.loop import LoopThread
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import LogLine
from buildflow_nb.runtime.observability.trace_lookup import last_traces, trace_of
from buildflow_nb.runtime.profiling import profile_now
from buildflow_nb.runtime.supervisor import Supervisor

__all__ = ("Remembered",)


class Remembered:
    """The part of a run that is asked what was."""

    _supervisor: Supervisor
    _thread: LoopThread

    def peek(self, processor_id: str, count: int = 20) -> list[Passage]:
        """The last elements that passed a processor, newest last."""
        return list(self._ledger(processor_id).passages)[-count:]

    def failures(self, processor_id: str | None = None) -> list[FailureRecord]:
        """Elements that failed for good, of one processor or of all, oldest first."""
        books = self._ledgers(processor_id)
        found = [record for book in books for record in list(book.failures)]
        return sorted(found, key=lambda failure: failure.at)

    def logs(self, processor_id: str | None = None, after: int = 0) -> list[LogLine]:
        """What one processor, or all of them, printed and logged, oldest first."""
        books = self._ledgers(processor_id)
        found = [line for book in books for line in book.log.lines(after)]
        return sorted(found, key=lambda line: line.at)

    def trace(self, which: str | int | FailureRecord) -> Trace:
        """What is known of one element's way, as `Flow.trace`.

        Raises:
            UsageError: nothing is kept of it.
        """
        return trace_of(self._supervisor.ledgers, which)

    def traces(
        self, processor_id: str | None = None, count: int = 20, *, failed: bool = False
    ) -> list[Trace]:
        """The last traces that met a processor, or any, newest last.

        Raises:
            UsageError: there is no such processor.
        """
        wanted = self._ledgers(processor_id)
        return last_traces(self._supervisor.ledgers, wanted, count, failed=failed)

    def profile(self, processor_id: str) -> Profile:
        """Where the time of a processor's elements went in the last minute.

        Raises:
            UsageError: there is no such processor.
            TimeoutError: the loop does not answer.
        """
        self._ledger(processor_id)
        return self._thread.call(
            lambda: profile_now(self._supervisor.units[processor_id]), LOOK_TIMEOUT_S
        )

    def _ledgers(self, processor_id: str | None) -> list[Ledger]:
        every = self._supervisor.ledgers.values()
        return [self._ledger(processor_id)] if processor_id else list(every)

    def _ledger(self, processor_id: str) -> Ledger:
        found = self._supervisor.ledgers.get(processor_id)
        if found is None:
            raise unknown_processor(processor_id, list(self._supervisor.ledgers))
        return found
