"""A processor without a run: how it looks before it starts, and one element through it."""

from __future__ import annotations

import contextvars
import sys
import time
from collections.abc import Mapping

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.code import compile_code
from buildflow_nb.runtime.consumer.send import send_through
from buildflow_nb.runtime.http.serving import send_to_route
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import LogRing, current
from buildflow_nb.runtime.observability.redaction import redaction_of

__all__ = ("pending", "send_alone", "send_once")

SEND_TIMEOUT_S = 60.0


def pending(
    flow_id: str, stack: str, processors: Mapping[str, ProcessorSpec], cloud: str = ""
) -> FlowSnapshot:
    """A flow that was never run."""
    found = tuple(Ledger(spec.id, SYSTEM).snapshot(spec, None) for spec in processors.values())
    return FlowSnapshot(flow_id, stack, State.PENDING, time.time(), None, None, found, cloud=cloud)


def send_once(spec: ProcessorSpec, element: object) -> list[object]:
    """Set a processor up, run one element through it, tear it down.

    Raises:
        Exception: whatever the user's code raised.
    """
    ring = LogRing() if redaction_of(spec).secret else None
    try:
        return loop_thread().run(send_alone(spec, element, ring), SEND_TIMEOUT_S)
    finally:
        for line in () if ring is None else ring.lines():
            sys.stdout.write(f"{line.text}\n")


async def send_alone(
    spec: ProcessorSpec, element: object, ring: LogRing | None = None
) -> list[object]:
    """The same, on the loop; what it prints goes to `ring`, if that is given."""
    if not isinstance(spec, ConsumerSpec):
        return await send_to_route(spec, element)
    context = contextvars.copy_context()
    if ring is not None:
        context.run(current.set, ring)
    worker = WorkerThread(f"send {spec.id}", context)
    code = compile_code(spec)
    try:
        await code.set_up(worker)
        try:
            return await send_through(code, worker, element, ring)
        finally:
            await code.tear_down(worker)
    finally:
        worker.close()
