"""A processor without a run: how it looks before it starts, and its code set up for a trial."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.consumer.send import send_through
from buildflow_nb.runtime.consumer.worker_pool import lone_worker
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.scopes import Instances, Supply
from buildflow_nb.runtime.sinks.side_sink import open_muted

__all__ = ("Send", "pending", "send_once", "trial", "trial_supply")

SEND_TIMEOUT_S = 60.0

Send = Callable[[object], Awaitable[list[object]]]


def pending(
    flow_id: str, stack: str, processors: Mapping[str, ProcessorSpec], cloud: str = ""
) -> FlowSnapshot:
    """A flow that was never run."""
    found = tuple(Ledger(spec.id, SYSTEM).snapshot(spec, None) for spec in processors.values())
    return FlowSnapshot(flow_id, stack, State.PENDING, time.time(), None, None, found, cloud=cloud)


@asynccontextmanager
async def trial(
    spec: ProcessorSpec, purpose: str, supply: Supply, ring: LogRing | None = None
) -> AsyncIterator[Send]:
    """Set a processor up for as long as the context lasts, and run what the caller sends to it.

    What is sent gives what the code made of it; nothing is written. What it prints goes to `ring`,
    if that is given.

    Raises:
        Exception: the user's setup or teardown failed, or whatever the code raised.
    """
    if isinstance(spec, ConsumerSpec):
        async with lone_worker(spec, purpose, ring, supply) as worker:
            yield lambda element: send_through(worker.code, worker.thread, element, ring)
        return
    from buildflow_nb.runtime.http.code import lone_code

    async with lone_code(spec, purpose, ring or LogRing(), supply) as code:
        yield code.send


def trial_supply(
    spec: ProcessorSpec, env: Callable[[], Env], shared: Instances | None = None
) -> Supply:
    """What dependencies are made of where nothing may be written: their pushes go nowhere."""
    found = env() if spec.processor.arguments else Env()
    return Supply(found, shared or Instances(), open_muted)


def send_once(spec: ProcessorSpec, element: object, env: Callable[[], Env]) -> list[object]:
    """Set a processor up, run one element through it, tear it down.

    Raises:
        Exception: whatever the user's code raised.
    """
    ring = LogRing() if redaction_of(spec).secret else None
    supply = trial_supply(spec, env)

    async def send() -> list[object]:
        async with trial(spec, "send", supply, ring) as run:
            return await run(element)

    try:
        return loop_thread().run(send(), SEND_TIMEOUT_S)
    finally:
        for line in () if ring is None else ring.lines():
            sys.stdout.write(f"{line.text}\n")
