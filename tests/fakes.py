"""Sources, sinks and a clock that do as they are told."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from buildflow_nb.core.primitive import Batch, Env, Wire
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.scopes import Instances, Supply
from buildflow_nb.runtime.sinks.side_sink import side_sinks

PATIENCE_S = 20.0  # real seconds after which a test gives up; nothing waits that long


class FakeClock:
    """Time that moves only when everybody sleeps."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def time(self) -> float:
        return 1_700_000_000.0 + self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def until(self, so: Callable[[], bool]) -> None:
        """Let everything run, turning the hands to the next sleeper when nothing else moves."""
        async with asyncio.timeout(PATIENCE_S):
            while not so():
                for _ in range(30):
                    await asyncio.sleep(0)
                    if so():
                        return
                if self._sleepers:
                    self._now, _, future = heapq.heappop(self._sleepers)
                    if not future.done():
                        future.set_result(None)


@dataclass
class Tape:
    """What happened to a fake source or sink; shared by all its connections."""

    events: list[tuple[str, object]] = field(default_factory=list)
    pushed: list[object] = field(default_factory=list)
    pushes: list[list[object]] = field(default_factory=list)
    acked: list[object] = field(default_factory=list)
    given_back: list[object] = field(default_factory=list)
    pulled: int = 0
    opened: int = 0
    closed: int = 0


@dataclass(eq=False)
class FakeSource:
    """Hands out batches; an exception among them is raised, an empty one means nothing yet."""

    batches: Iterable[object]
    endless: bool = False
    receipts: bool = True
    tape: Tape = field(default_factory=Tape)
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1
    primitive_id: str = "fake source"

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_SourceConnection]:
        self.tape.opened += 1
        yield _SourceConnection(self)
        self.tape.closed += 1


class _SourceConnection:
    def __init__(self, source: FakeSource) -> None:
        self._source = source
        self._left = iter(source.batches)

    async def pull(self) -> Batch | None:
        found = next(self._left, None)
        if found is None:
            if self._source.endless:
                await asyncio.Event().wait()
            return None
        if isinstance(found, Exception):
            raise found
        items = list(found)
        self._source.tape.pulled += len(items)
        return Batch(items, receipts=list(items) if self._source.receipts else None)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        tape = self._source.tape
        tape.events.append(("ack" if ok else "give back", list(receipts)))
        (tape.acked if ok else tape.given_back).extend(receipts)

    async def backlog(self) -> int | None:
        return None


@dataclass(eq=False)
class FakeSink:
    """Takes pushes; `fails` are raised first, one a push; `refuse` says what is at fault."""

    fails: list[Exception] = field(default_factory=list)
    refuse: Callable[[object], bool] = lambda _: False
    gate: Callable[[], asyncio.Event] | None = None
    tape: Tape = field(default_factory=Tape)
    sink_wire: Wire = Wire.OBJECT
    max_push: int = 1_000
    linger_s: float = 0.0
    primitive_id: str = "fake sink"

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[FakeSink]:
        self.tape.opened += 1
        yield self
        self.tape.closed += 1

    async def push(self, items: Sequence[object]) -> None:
        if self.gate is not None:
            await self.gate().wait()
        if self.fails:
            raise self.fails.pop(0)
        if any(self.refuse(item) for item in items):
            msg = "refused"
            raise ValueError(msg)
        self.tape.events.append(("push", list(items)))
        self.tape.pushes.append(list(items))
        self.tape.pushed.extend(items)


def supply(ledger: Ledger) -> Supply:
    """What a unit's dependencies are made of."""
    env = Env()
    return Supply(env, Instances(), side_sinks(env, ledger, patience=0))
