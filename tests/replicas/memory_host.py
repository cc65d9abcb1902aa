"""A host whose replicas are no processes: looks are answered from memory, as a replica would."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.status.snapshot import HISTORY_S, ProcessorSnapshot, State
from buildflow_nb.runtime.autoscale.sample import Load, Totals
from buildflow_nb.runtime.observability.metrics import Metrics
from buildflow_nb.runtime.replicas.host import GoneError, Wants
from buildflow_nb.runtime.replicas.messages import Look, LookRequest, PassageSeen, UnitLook
from buildflow_nb.runtime.shipping import pack, pack_shown, unpack

PER_LOOK = 30  # elements that a replica has taken since the last look
ELEMENT = {"id": 1234, "sku": "pens", "qty": 3}


@dataclass(eq=False)
class MemoryHosted:
    """A replica that has taken `PER_LOOK` elements more, whenever it is looked at."""

    host: MemoryHost
    pid: int
    node: str = "somewhere"
    gone: bool = False

    def __post_init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.looked: list[float] = []  # when, by the loop

    async def call(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        """Answer at once."""
        await asyncio.sleep(0)
        began = time.thread_time()
        if self.gone:
            msg = f"process {self.pid} has ended"
            raise GoneError(msg)
        answer: object = None
        if method == "look":
            self.looked.append(asyncio.get_running_loop().time())
            arguments: Any = unpack(payload)
            answer = self._look(arguments[0])
        reply = pack((True, answer))  # as `reply.py` has it
        host = self.host
        host.calls += 1
        host.bytes_sent += len(payload)
        host.bytes_received += len(reply)
        host.own_s += time.thread_time() - began
        return reply

    async def kill(self) -> None:
        """End it."""
        self.gone = True

    def _look(self, request: LookRequest) -> Look:
        found = {}
        for name, asked in request.asked.items():
            new = self.host.per_look
            self.taken[name] += new
            seen = tuple(self.host.passages[: min(new, asked.passages)])
            found[name] = UnitLook(
                self._shot(name), self.host.counts, not new, Load(Totals(), 1), seen
            )
        return Look(request.activity, bool(self.host.per_look), found)

    def _shot(self, name: str) -> ProcessorSnapshot:
        count = self.taken[name]
        return ProcessorSnapshot(
            processor_id=name,
            kind="consumer",
            state=State.RUNNING,
            elements_in=count,
            elements_out=count,
            in_per_s=60.0,
            out_per_s=60.0,
            p50_s=0.004,
            p95_s=0.009,
            p99_s=0.011,
            history=(60,) * HISTORY_S,
        )


class MemoryHost:
    """Makes them; `own_s` is the CPU time that their answers took, in this process."""

    def __init__(self, per_look: int = PER_LOOK) -> None:
        self.per_look = per_look
        self.hosted: list[MemoryHosted] = []
        self.calls = self.bytes_sent = self.bytes_received = 0
        self.own_s = 0.0
        shown = pack_shown((ELEMENT, (ELEMENT,)))
        self.passages = [PassageSeen(1.7e9, 0.004, shown) for _ in range(20)]
        self.counts = Metrics(0.0).latency.counts()

    async def open(self, on_lost: Callable[[str], None]) -> None:
        """Nothing is needed."""

    async def spawn(self, name: str, wants: Wants, on_wait: Callable[[str], None]) -> MemoryHosted:
        """Make one at once."""
        made = MemoryHosted(self, 1000 + len(self.hosted))
        self.hosted.append(made)
        return made

    async def close(self) -> None:
        """Nothing is left."""

    @property
    def alive(self) -> list[MemoryHosted]:
        """Those that were not ended."""
        return [one for one in self.hosted if not one.gone]
