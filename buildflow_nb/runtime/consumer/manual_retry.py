"""One failed element through the real pipeline again: its code, its converters, its sink.

Unlike `send.py` this writes. What the code raises is given, not raised, since the error belongs
to the failure; what is raised says that the element could not be tried at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.errors import BuildFlowError, TemporaryError, UsageError
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.code import Code, compile_code
from buildflow_nb.runtime.consumer.send import AS_IT_IS, as_declared
from buildflow_nb.runtime.consumer.worker_pool import PoolWorker
from buildflow_nb.runtime.observability.kept import Again
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import owned_by
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.sinks.push import Faults, Pusher, PushPlan, PushRequest

__all__ = (
    "REDO_S",
    "Push",
    "Redone",
    "first_of",
    "not_ready",
    "push_alone",
    "pushing",
    "redo_alone",
    "redo_through",
)

REDO_S = 30.0  # seconds that a retry waits for its sink: a person is waiting for it
CLOSE_S = 5.0

Push = Callable[[Sequence[object]], Awaitable[Faults]]


@dataclass(frozen=True, slots=True)
class Redone:
    """What became of it: results that are in the sink, or the error."""

    results: tuple[object, ...] = ()
    error: BaseException | None = None


async def redo_through(worker: PoolWorker, again: Again, push: Push, ledger: Ledger) -> Redone:
    """Run one element through a worker's code of this moment, and push what it gives."""
    code, raw = worker.code, again.element
    if again.edited:
        try:
            raw = as_declared(code.spec, raw)
        except BuildFlowError as error:
            return Redone(error=error)
        code = replace(code, decoder=AS_IT_IS)
    with owned_by(ledger.log):
        outcome = await worker.run([raw], code)
    if outcome.faults:
        return Redone(error=outcome.faults[0])
    faults = await push(outcome.items) if outcome.items else {}
    if faults:
        return Redone(error=first_of(faults))
    given = outcome.given(0)
    ledger.regained(outcome.values[0], given, outcome.seconds)
    return Redone(given)


def first_of(faults: Faults) -> BaseException:
    """The error that speaks for all."""
    return faults[min(faults)]


async def push_alone(pusher: Pusher, items: Sequence[object], main: asyncio.Task[None]) -> Faults:
    """Push through a pusher that others use too, for as long as its owner works.

    Raises:
        TemporaryError: the owner stopped meanwhile.
        TimeoutError: the sink does not take them for now.
    """
    done: asyncio.Future[Faults] = asyncio.get_running_loop().create_future()

    def settle(faults: Faults) -> None:
        if not done.done():
            done.set_result(faults)

    async def submit() -> Faults:
        await pusher.submit(PushRequest(items, settle))
        return await done

    task = asyncio.create_task(submit())
    try:
        await asyncio.wait({task, main}, timeout=REDO_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        task.cancel()
    if main.done():
        msg = "the processor stopped while the element was on its way; it may have been written"
        raise TemporaryError(msg)
    msg = f"the sink did not take it within {REDO_S:g} s; it is queued and may still be written"
    raise TimeoutError(msg)


async def redo_alone(
    spec: ConsumerSpec, again: Again, env: Env, ledger: Ledger, clock: Clock
) -> Redone:
    """The same for a consumer that is done: a fresh instance, and its sink opened for this.

    Raises:
        Exception: the code cannot be set up, or the sink not opened.
    """
    ledger.redaction = redaction_of(spec)
    async with AsyncExitStack() as stack:
        worker = WorkerThread(f"retry {spec.id}", ledger.context())
        stack.callback(worker.close)
        code: Code = compile_code(spec)
        await code.set_up(worker)
        stack.push_async_callback(code.tear_down, worker)
        push = await _opened(spec, env, clock, stack)
        return await redo_through(PoolWorker(worker, code), again, push, ledger)


async def _opened(spec: ConsumerSpec, env: Env, clock: Clock, stack: AsyncExitStack) -> Push:
    """The sink of a consumer as something to push to."""
    declared = spec.sink
    if declared is None:
        return _nowhere
    async with asyncio.timeout(REDO_S):
        sink = await stack.enter_async_context(declared.sink(env, spec.output_type))
    retries = spec.options.retries
    plan = PushPlan(declared.max_push, 0.0, retries, patience=retries)
    pusher = Pusher(sink, plan, clock, lambda _: None)
    main = asyncio.create_task(pusher.run(), name=f"retry {spec.id}")

    async def end() -> None:
        main.cancel()
        await asyncio.wait({main}, timeout=CLOSE_S)

    stack.push_async_callback(end)
    return pushing(pusher, main)


def pushing(pusher: Pusher | None, main: asyncio.Task[None]) -> Push:
    """How a consumer at work pushes what a retry gives."""
    if pusher is None:
        return _nowhere
    return lambda items: push_alone(pusher, items, main)


def not_ready(spec: ProcessorSpec, ledger: Ledger) -> UsageError:
    """The error for a retry while its processor does not work; says how to mend it."""
    state, name = ledger.state, f"{spec.kind} {spec.id!r}"
    why = f" ({ledger.reason})" if ledger.reason else ""
    if state.ended:
        cure = f"%buildflow start {spec.id}, or app.start({spec.id!r}), starts it again"
    else:
        cure = "wait until it is running"
    return UsageError(f"{name} is {state.value}{why}; {cure}, then retry; the failure is kept")


async def _nowhere(_items: Sequence[object]) -> Faults:
    return {}
