"""Pushes what processors return, in order, many at a time, and says of each whether it arrived.

Requests wait in a bounded queue; one task takes all that wait (at most the sink's `max_push`
elements; it lingers as long as the sink asks for) and pushes them as one. A request is finished
only when every element of it is stored or known to be at fault, so a source is acknowledged after
its elements are safe and never before.

What goes wrong: a temporary fault is waited out, with back-off, for ever (the queue fills and
holds the source back). Any other error is tried again, then the push is halved until the elements
at fault stand alone; if no element at all passes, it is the sink that is down, not the data, and
it is waited out like a temporary fault. An element alone is at fault only if the error speaks of
data (`DATA_ERRORS`): to wait is better than to lose. A permanent fault ends the pusher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import (
    ConversionError,
    PartialPushError,
    PermanentError,
    TemporaryError,
    told,
)
from buildflow_nb.core.optional_abilities import TracingSink
from buildflow_nb.core.primitive import Sink
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.part_times import PartTimes

__all__ = (
    "DATA_ERRORS",
    "ENDS_HERE",
    "RETRY_S",
    "Contexts",
    "Faults",
    "Push",
    "PushPlan",
    "PushRequest",
    "Pusher",
    "first_of",
    "nowhere",
    "pushing",
)

WAITING_REQUESTS = 64  # requests that may wait; more hold their worker back

RETRY_S = 30.0  # seconds that a retry waits for its sink: a person is waiting for it

Faults = dict[int, BaseException]
Contexts = Mapping[int, TraceContext]
ENDS_HERE = "the trace ends here: what is stored takes none along"
Push = Callable[[Sequence[object]], Awaitable[Faults]]
DATA_ERRORS = (ConversionError, ValueError, TypeError, ArithmeticError, LookupError, AssertionError)


@dataclass(slots=True)
class PushRequest:
    """Items in the sink's wire form, settled together; `done` gets what failed, by position.

    `origins` are the receipts of the elements that they came from, where a push has to know them.
    `contexts` are the traces that some items take along, by position.
    """

    items: Sequence[object]
    done: Callable[[Faults], None]
    origins: Sequence[Any] | None = None
    contexts: Contexts | None = None

    def origin(self, i: int) -> Any:
        """The receipt of the element that an item came from; None where that is not known."""
        return None if self.origins is None else self.origins[i]


@dataclass(frozen=True, slots=True)
class PushPlan:
    """How a sink wants to be written.

    `retries` counts tries after the first for errors that are not temporary. `patience` counts
    tries for those that are, until the elements are given up; None waits for ever.
    """

    max_push: int
    linger_s: float
    retries: int
    patience: int | None = None


class Pusher:
    """The one writer of a sink for one processor.

    `on_wait` is called with a reason when the sink cannot be written for now, and with "" when it
    can again.
    """

    def __init__(
        self, sink: Sink, plan: PushPlan, clock: Clock, on_wait: Callable[[str], None]
    ) -> None:
        self._sink = sink
        self.plan = plan
        self._clock = clock
        self._on_wait = on_wait
        self._requests: asyncio.Queue[PushRequest | None] = asyncio.Queue(WAITING_REQUESTS)
        self._waiting = False
        self._hurried = False
        self.times: PartTimes | None = None
        """Where it is counted how long pushes take."""

    @property
    def trace_ends(self) -> str:
        """Why traces do not go on through this sink; "" where they do."""
        return "" if isinstance(self._sink, TracingSink) else ENDS_HERE

    def hurry(self) -> None:
        """Push from now on what there is; no more comes that would be worth waiting for."""
        self._hurried = True
        self.submit_now(PushRequest((), lambda _: None))  # wakes who waits for more

    async def submit(self, request: PushRequest) -> None:
        """Queue a request; waits while the queue is full."""
        await self._requests.put(request)

    def submit_now(self, request: PushRequest) -> bool:
        """Queue a request without waiting; False where the queue is full."""
        try:
            self._requests.put_nowait(request)
        except asyncio.QueueFull:
            return False
        return True

    async def push(
        self, items: Sequence[object], contexts: Contexts | None = None
    ) -> asyncio.Future[Faults]:
        """Queue items of their own, as `submit`; the future tells, by position, what failed."""
        done: asyncio.Future[Faults] = asyncio.get_running_loop().create_future()

        def settle(faults: Faults) -> None:
            if not done.done():
                done.set_result(faults)

        await self.submit(PushRequest(items, settle, contexts=contexts))
        return done

    async def close(self) -> None:
        """Let `run` end once all that was submitted is pushed."""
        await self._requests.put(None)

    async def run(self) -> None:
        """Push until closed.

        Raises:
            PermanentError: the sink can never be written as declared.
        """
        open_ = True
        while open_:
            first = await self._next_request()
            if first is None:
                return
            requests, open_ = await self._gather(first)
            await self._push_requests(requests)

    def left(self) -> list[PushRequest]:
        """Take what was never pushed, after `run` was cancelled or failed."""
        found = []
        with suppress(asyncio.QueueEmpty):
            while True:
                request = self._requests.get_nowait()
                if request is not None:
                    found.append(request)
        return found

    async def _next_request(self) -> PushRequest | None:
        return await self._requests.get()

    async def _gather(self, first: PushRequest) -> tuple[list[PushRequest], bool]:
        requests, size = [first], len(first.items)
        deadline = self._clock.now() + self.plan.linger_s
        while size < self.plan.max_push:
            try:
                request = self._requests.get_nowait()
            except asyncio.QueueEmpty:
                left = deadline - self._clock.now()
                if left <= 0 or self._hurried:
                    break
                try:
                    request = await asyncio.wait_for(self._requests.get(), left)
                except TimeoutError:
                    break
            if request is None:
                return requests, False
            requests.append(request)
            size += len(request.items)
        return requests, True

    async def _push_requests(self, requests: list[PushRequest]) -> None:
        if len(requests) == 1:
            items = requests[0].items
        else:
            items = [item for request in requests for item in request.items]
        began = self._clock.now()
        try:
            faults = await self._push(items, _contexts_of(requests)) if items else {}
        except BaseException as error:
            for request in requests:
                request.done(dict.fromkeys(range(len(request.items)), error))
            raise
        if self.times is not None and items:
            now = self._clock.now()
            self.times.push(now, len(items), now - began)
        start = 0
        for request in requests:
            end = start + len(request.items)
            own = {i - start: e for i, e in faults.items() if start <= i < end} if faults else {}
            request.done(own)
            start = end

    async def _push(self, items: Sequence[object], contexts: Contexts | None) -> Faults:
        size = self.plan.max_push
        if len(items) <= size:
            return await self._deliver(items, contexts)
        faults: Faults = {}
        for start in range(0, len(items), size):
            some = _within(contexts, range(start, start + size))
            found = await self._deliver(items[start : start + size], some)
            faults |= {start + i: error for i, error in found.items()}
        return faults

    async def _deliver(self, items: Sequence[object], contexts: Contexts | None) -> Faults:
        """Push until all is stored or the elements at fault are known."""
        tries = 0
        while True:
            try:
                faults = await self._attempt(items, contexts)
            except PermanentError:
                raise
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                tries += 1
                if tries > self.plan.retries:
                    found = await self._isolate(items, contexts, error)
                    if len(found) < len(items) or self._blames_data(found, tries):
                        self._resume()
                        return found
                await self._wait(error, tries)
            else:
                self._resume()
                return faults

    async def _attempt(self, items: Sequence[object], contexts: Contexts | None) -> Faults:
        """Push, waiting temporary faults out, of the whole or of single elements."""
        faults: Faults = {}
        places = list(range(len(items)))
        tries = 0
        while True:
            try:
                if not tries:
                    await contained(self._write(items, contexts))
                else:
                    some = [items[i] for i in places]
                    await contained(self._write(some, _within(contexts, places)))
            except PartialPushError as partial:
                again = {i for i, e in partial.failed.items() if isinstance(e, TEMPORARY)}
                faults |= {places[i]: e for i, e in partial.failed.items() if i not in again}
                error: Exception = partial
                places = [places[i] for i in sorted(again)]
                if not places:
                    return faults
            except TEMPORARY as temporary:
                error = temporary
            else:
                return faults
            tries += 1
            if self.plan.patience is not None and tries > self.plan.patience:
                return faults | dict.fromkeys(places, error)
            await self._wait(error, tries)

    def _write(self, items: Sequence[object], contexts: Contexts | None) -> Awaitable[None]:
        sink = self._sink
        if contexts and isinstance(sink, TracingSink):
            return sink.push_traced(items, contexts)
        return sink.push(items)

    async def _isolate(
        self, items: Sequence[object], contexts: Contexts | None, error: Exception
    ) -> Faults:
        """Halve a push that fails as a whole until the elements at fault stand alone."""
        if len(items) == 1:
            return {0: error}
        middle = len(items) // 2
        faults: Faults = {}
        for start, half in ((0, items[:middle]), (middle, items[middle:])):
            some = _within(contexts, range(start, start + len(half)))
            try:
                found = await self._attempt(half, some)
            except PermanentError:
                raise
            except Exception as again:  # noqa: BLE001
                found = await self._isolate(half, some, again)
            faults |= {start + i: e for i, e in found.items()}
        return faults

    def _blames_data(self, faults: Faults, tries: int) -> bool:
        """Whether elements of which none passed are at fault, and not the sink."""
        given_up = self.plan.patience is not None and tries > self.plan.patience
        return given_up or all(isinstance(error, DATA_ERRORS) for error in faults.values())

    async def _wait(self, error: Exception, tries: int) -> None:
        self._waiting = True
        self._on_wait(told(error))
        await self._clock.sleep(backoff_s(tries))

    def _resume(self) -> None:
        if self._waiting:
            self._waiting = False
            self._on_wait("")


def _contexts_of(requests: Sequence[PushRequest]) -> Contexts | None:
    """The traces of all that is pushed together, by position in the push."""
    found: dict[int, TraceContext] = {}
    start = 0
    for request in requests:
        if request.contexts:
            found.update((start + i, one) for i, one in request.contexts.items())
        start += len(request.items)
    return found or None


def _within(contexts: Contexts | None, places: Sequence[int]) -> Contexts | None:
    """The traces of the items at these places, by where they stand among them."""
    if not contexts:
        return None
    return {k: contexts[i] for k, i in enumerate(places) if i in contexts}


def first_of(faults: Faults) -> BaseException:
    """The error that speaks for all."""
    return faults[min(faults)]


async def _push_alone(pusher: Pusher, items: Sequence[object], main: asyncio.Task[None]) -> Faults:
    """Push through a pusher that others use too, for as long as its owner works.

    Raises:
        TemporaryError: the owner stopped meanwhile.
        TimeoutError: the sink does not take them for now.
    """

    async def pushed() -> Faults:
        return await (await pusher.push(items))

    task = asyncio.create_task(pushed())
    try:
        await asyncio.wait({task, main}, timeout=RETRY_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        task.cancel()
    if main.done():
        msg = "the processor stopped while the element was on its way; it may have been written"
        raise TemporaryError(msg)
    msg = f"the sink did not take it within {RETRY_S:g} s; it is queued and may still be written"
    raise TimeoutError(msg)


def pushing(pusher: Pusher | None, main: asyncio.Task[None]) -> Push:
    """How a consumer at work pushes what a retry gives."""
    if pusher is None:
        return nowhere
    return lambda items: _push_alone(pusher, items, main)


async def nowhere(_items: Sequence[object]) -> Faults:
    """The push of a processor without a sink."""
    return {}
