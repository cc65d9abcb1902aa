"""One failed element through the real pipeline again: its code, its converters, its sink.

Unlike `send.py` this writes. What the code raises is given, not raised, since the error belongs
to the failure; what is raised says that the element could not be tried at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.consumer.send import AS_IT_IS, as_declared
from buildflow_nb.runtime.consumer.worker_pool import PoolWorker, lone_worker
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import owned_by
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.scopes import Supply
from buildflow_nb.runtime.sinks.push import (
    RETRY_S,
    Push,
    Pusher,
    PushPlan,
    first_of,
    nowhere,
    pushing,
)

__all__ = ("retry_alone", "retry_through")

CLOSE_S = 5.0


async def retry_through(
    worker: PoolWorker, wanted: RetryInput, push: Push, ledger: Ledger
) -> RetryResult:
    """Run one element through a worker's code of this moment, and push what it gives."""
    code, raw = worker.code, wanted.element
    if wanted.edited:
        try:
            raw = as_declared(code.spec, raw)
        except BuildFlowError as error:
            return RetryResult(error=error)
        code = replace(code, decoder=AS_IT_IS)
    with owned_by(ledger.log):
        outcome = await worker.run([raw], code)
    if outcome.faults:
        return RetryResult(error=outcome.faults[0])
    faults = await push(outcome.items) if outcome.items else {}
    if faults:
        return RetryResult(error=first_of(faults))
    given = outcome.given(0)
    ledger.regained(outcome.values[0], given, outcome.seconds)
    return RetryResult(given)


async def retry_alone(
    spec: ConsumerSpec, wanted: RetryInput, supply: Supply, ledger: Ledger
) -> RetryResult:
    """The same for a consumer that is done: a fresh instance, and its sink opened for this.

    Raises:
        Exception: the code cannot be set up, or the sink not opened.
    """
    ledger.redaction = redaction_of(spec)
    async with (
        lone_worker(spec, "retry", ledger.log, supply) as worker,
        _opened(spec, supply.env, ledger.clock) as push,
    ):
        return await retry_through(worker, wanted, push, ledger)


@asynccontextmanager
async def _opened(spec: ConsumerSpec, env: Env, clock: Clock) -> AsyncIterator[Push]:
    """The sink of a consumer as something to push to."""
    declared = spec.sink
    if declared is None:
        yield nowhere
        return
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(RETRY_S):
            sink = await stack.enter_async_context(declared.sink(env, spec.output_type))
        retries = spec.options.retries
        plan = PushPlan(declared.max_push, 0.0, retries, patience=retries)
        pusher = Pusher(sink, plan, clock, lambda _: None)
        main = asyncio.create_task(pusher.run(), name=f"retry {spec.id}")
        try:
            yield pushing(pusher, main)
        finally:
            main.cancel()
            await asyncio.wait({main}, timeout=CLOSE_S)
