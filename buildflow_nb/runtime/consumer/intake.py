"""What a consumer has taken in and not settled, and whether it takes more: the back-pressure.

One rule holds the source back: workers have enough to do, or memory is at its bound. A slow sink
lets nothing settle, so it holds the source back, too.
"""

from __future__ import annotations

from buildflow_nb.core.primitive import Batch
from buildflow_nb.runtime.consumer.inbox import Inbox, InFlight, Pace, PulledBatch
from buildflow_nb.runtime.liveness import Waits
from buildflow_nb.runtime.observability.ledger import Ledger

__all__ = ("Intake",)


class Intake:
    """Takes what is pulled; `most` elements are unsettled at once. Used on the loop only.

    Workers are kept busy with chunks as long as `pace` says.
    """

    def __init__(self, inbox: Inbox, pace: Pace, ledger: Ledger, waits: Waits, most: int) -> None:
        self._hands = 2
        self.in_flight = InFlight(inbox, ledger.activity)
        self._inbox = inbox
        self._pace = pace
        self._ledger = ledger
        self._now = ledger.clock.now
        self._waits = waits
        self._most = most
        self._uncounted = 0

    @property
    def full(self) -> bool:
        """Whether every worker has enough to do, or memory is at its bound."""
        return (  # asked for every pull
            self._inbox.elements >= self._hands * self._pace.chunk
            or self.in_flight.count >= self._most
        )

    @property
    def at_bound(self) -> bool:
        """Whether nothing more is taken until something is settled, whoever could work."""
        return self.in_flight.count >= self._most

    def work_for(self, workers: int) -> None:
        """Keep so many busy from now on."""
        self._hands = 2 * workers
        self._inbox.wake()

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.full:
            await self._inbox.wait_taken()

    def take_in(self, batch: Batch) -> None:
        """Take what was pulled."""
        count = len(batch.items)
        self._uncounted += count
        self.in_flight.add(count)
        self._inbox.put_pulled(batch, count, self._now())

    def take_over(self, batch: PulledBatch) -> None:
        """Take what another consumer has pulled, and counted."""
        self.in_flight.add(len(batch.items))
        self._inbox.put(batch)

    def source_waits(self, reason: str) -> None:
        """Show why the source cannot be read for now."""
        self._waits.show("source", reason)

    def count_in(self) -> None:
        """Count what was pulled since the last time; once a chunk, since once a pull is dear."""
        if self._uncounted:
            self._ledger.metrics.taken.add(self._uncounted, self._now())
            self._uncounted = 0
