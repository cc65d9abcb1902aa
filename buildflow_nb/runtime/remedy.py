"""What becomes of elements that failed: tried again, dead-lettered, or given back.

An error of the user's code may pass, so the element is tried `retries` times more, with back-off,
while its neighbours go on. An element that cannot be converted, or that the sink refuses, never
will. Those that are out of tries go to the dead-letter sink, or without one back to the source; in
all cases they stay in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.dead_letter import DeadLetters
from buildflow_nb.runtime.inbox import Haul, Load
from buildflow_nb.runtime.kept import Fault
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.push import Faults
from buildflow_nb.runtime.retry import Retries

__all__ = ("Done", "Remedy")

EXITS = (
    "sys.exit() in a processor fails its element and ends nothing; to end the run, stop it from "
    "outside (app.handle.stop(), Ctrl-C), or raise in setup()"
)
TURN = 50  # failures that are written down before others get their turn

Done = Callable[[int, list[object], bool], None]


@dataclass(slots=True)
class _Doomed:
    """An element that failed for good, before it is buried."""

    fault: Fault
    load: Load

    @property
    def receipt(self) -> Sequence[object]:
        """Its receipt, where its source gave one."""
        return self.load.receipts or ()


class Remedy:
    """Deals with the faults of one consumer; used on the loop only.

    `done` is called with how many elements are dealt with, their receipts, and whether the source
    shall forget them.
    """

    def __init__(
        self, retries: Retries, dead: DeadLetters, ledger: Ledger, tries: int, done: Done
    ) -> None:
        self._retries = retries
        self._dead = dead
        self._ledger = ledger
        self._again = tries
        self._done = done
        # Bounded by the elements between pull and settle, which the consumer bounds.
        self._doomed: asyncio.Queue[list[_Doomed]] = asyncio.Queue()
        self._in_hand: list[_Doomed] = []

    def sort_out(self, haul: Haul, faults: Faults, unpushed: frozenset[int]) -> None:
        """Try again what may pass the next time; `unpushed` elements the sink refused."""
        doomed: list[_Doomed] = []
        for i, error in faults.items():
            load, k = haul.find(i)
            hopeless = isinstance(error, ConversionError) or i in unpushed
            if not hopeless and load.tries < self._again:
                self._ledger.metrics.retried += 1
                self._retries.add(load.again(k))
                continue
            origin = load.origin(k) if load.origin is not None else None
            fault = Fault(load.items[k], error, load.tries + 1, origin)
            doomed.append(_Doomed(fault, load.part(k, k + 1)))
        if doomed:
            self._doomed.put_nowait(doomed)

    async def run(self) -> None:
        """Bury what failed for good, for ever."""
        while True:
            doomed = self._in_hand = await self._doomed.get()
            buried = await self._dead.bury([entry.fault for entry in doomed])
            for number, entry in enumerate(doomed, 1):
                fate = "dead-lettered" if buried else "given back" if entry.receipt else "dropped"
                self._ledger.fail(entry.fault, fate)
                if isinstance(entry.fault.error, SystemExit):
                    self._ledger.log.add("WARNING", EXITS)
                if number % TURN == 0:
                    await asyncio.sleep(0)  # a flood of failures must not starve the loop
            receipts = [receipt for entry in doomed for receipt in entry.receipt]
            self._in_hand = []
            self._done(len(doomed), receipts, buried)

    def left(self) -> list[Load]:
        """What was never buried, after `run` was cancelled."""
        found, self._in_hand = self._in_hand, []
        while not self._doomed.empty():
            found += self._doomed.get_nowait()
        return [entry.load for entry in found]
