"""What a collector does with a result: to the sink with it, and only then an answer.

The answer says what became of the elements: stored, refused by the sink for what they are, or not
written because the sink cannot be written for now, in which case sending again may help.

The sink and the dead-letter sink are opened once and kept open. One task opens the sink, pushes
(requests that come in meanwhile share the next push) and closes it. A sink that cannot be opened
for now is tried again, with back-off, for as long as the route lives; `reason` says what it waits
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from aiohttp import web

from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.declaring.flow_spec import CollectorSpec
from buildflow_nb.core.errors import ConversionError, told
from buildflow_nb.core.primitive import Env, Writable, label_of
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import contained, flatten
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.response import (
    FAILED,
    error_response,
    is_starlette_response,
    json_response,
)
from buildflow_nb.runtime.http.tracing import RouteTracing, failed, traced_as, traces_of
from buildflow_nb.runtime.observability.failures import Fault
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.observability.visits import Visit
from buildflow_nb.runtime.sinks.dead_letters import DeadLetters
from buildflow_nb.runtime.sinks.push import Contexts, Faults, Pusher, PushPlan

__all__ = ("Call", "Collector", "CollectorSink")

Form = Callable[[Sequence[object]], Sequence[object]]
SUCCESS = b'{"success":true}'


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what to show of it, and its arguments by name where they can be used again."""

    element: object
    by_name: Mapping[str, object] | None
    visit: Visit | None = None


class Collector:
    """Stores results; `record` is told of elements that failed for good."""

    def __init__(
        self,
        spec: CollectorSpec,
        sink: CollectorSink,
        ledger: Ledger,
        record: Callable[[list[Fault]], Awaitable[None]],
    ) -> None:
        self._owner = f"{spec.kind} {spec.id!r}"
        self._origin = f"{spec.method} {spec.route}"
        self._tries = spec.options.retries + 1
        self._sink = sink
        self._ledger = ledger
        self._record = record
        self._encode: Form = _nowhere
        if spec.sink is not None:
            self._encode = compile_encoder(spec.output_type, spec.sink.sink_wire, self._owner)
        self._late: set[asyncio.Task[None]] = set()

    async def keep(self, result: object) -> tuple[list[object], Faults]:
        """Push what a retried call gave; the elements, and by position what failed.

        Raises:
            HttpError: the sink is not open.
            ConversionError: as for `store`.
            TimeoutError: the sink takes too long; they may still be written.
        """
        elements, pushed = await self._pushed(result, None)
        if not pushed.done():
            msg = f"the sink did not take it within {PUSH_S:g} s; it may still be written"
            raise TimeoutError(msg)
        return elements, pushed.result()

    async def _pushed(
        self, result: object, visit: Visit | None
    ) -> tuple[list[object], asyncio.Future[Faults]]:
        """A result as elements, and their push, which has had its time."""
        if isinstance(result, web.StreamResponse) or is_starlette_response(result):
            msg = f"{self._owner} returned a response, which no sink can store; use an endpoint"
            raise ConversionError(msg)
        elements, now = flatten(result), self._ledger.clock.now
        began = now()
        items = self._encode(elements) if elements else ()
        contexts = None
        if visit is not None and visit.worked is not None:
            visit.worked.encode_s = now() - began
            if items:
                written = visit.writes(self._sink.label, now(), self._sink.trace_ends)
                contexts = traces_of(visit, written, len(items))
        pushed = await self._sink.push(items, contexts)
        if not pushed.done():
            await asyncio.wait({pushed}, timeout=PUSH_S)
        return elements, pushed

    async def store(self, call: Call, result: object, seconds: float) -> web.StreamResponse:
        """Push what the function made of `call` in `seconds`; the answer for the client.

        Raises:
            HttpError: it is not stored.
            ConversionError: it has another type than declared, or no form that can be stored.
        """
        elements, pushed = await self._pushed(result, call.visit)
        if not pushed.done():
            self._leave(call, elements, pushed, seconds)
            msg = "the sink takes too long; the element is queued and may still be written"
            raise HttpError(503, msg, {"Retry-After": "5"})
        faults = pushed.result()
        self._count(call, elements, faults, seconds)
        if not faults:
            return json_response(SUCCESS)
        await self._record(self._faults(call, faults))
        return _refusal(faults)

    def _count(self, call: Call, elements: list[object], faults: Faults, seconds: float) -> None:
        ledger = self._ledger
        if not faults:  # others are recorded with their error
            ledger.record(call.element, elements)
        ids = traced_as(call.visit)
        ledger.passed((call.element,), (tuple(elements),), seconds, ids)
        if call.visit is not None:
            RouteTracing(ledger).passed(call.visit, call.element, elements)
            for written in call.visit.written:
                written.ended = ledger.clock.now()
        ledger.metrics.given.add(len(elements) - len(faults), ledger.clock.now())
        ledger.metrics.dropped += not elements

    def _faults(self, call: Call, faults: Faults) -> list[Fault]:
        visit = call.visit if self._ledger.traces.rate else None
        failed(self._ledger, visit, call.element, next(iter(faults.values())))
        return [
            Fault(call.element, error, self._tries, self._origin, call.by_name, visit=visit)
            for error in faults.values()
        ]

    def _leave(
        self,
        call: Call,
        elements: list[object],
        pushed: asyncio.Future[Faults],
        seconds: float,
    ) -> None:
        """Keep the books of a push that outlasts its request."""

        async def settle() -> None:
            faults = await pushed
            self._count(call, elements, faults, seconds)
            if faults:
                await self._record(self._faults(call, faults))

        late = asyncio.create_task(settle())
        self._late.add(late)
        late.add_done_callback(self._late.discard)


def _nowhere(_elements: Sequence[object]) -> Sequence[object]:
    return ()


def _refusal(faults: Faults) -> web.StreamResponse:
    """The answer for elements that are not in the sink."""
    errors = list(faults.values())
    for error in errors:
        if isinstance(error, HttpError):
            raise error
        if isinstance(error, (*TEMPORARY, asyncio.CancelledError)):
            msg = f"the sink cannot be written for now: {describe(error)}"
            raise HttpError(503, msg, {"Retry-After": "1"}) from error
    if all(isinstance(error, ConversionError) for error in errors):
        raise HttpError(422, f"the sink refuses the element: {errors[0]}") from errors[0]
    return error_response(500, FAILED)


PUSH_S = 30.0  # seconds that a request waits for its push: clients give up at about that time


class CollectorSink:
    """The sinks of one collector.

    `on_change` is called when `reason` or `broken` changed.
    """

    def __init__(
        self, spec: CollectorSpec, env: Env, ledger: Ledger, on_change: Callable[[], None]
    ) -> None:
        self._spec = spec
        self._env = env
        self._ledger = ledger
        self._clock: Clock = ledger.clock
        self._on_change = on_change
        self._pusher: Pusher | None = None
        self._letters: DeadLetters | None = None
        self._task: asyncio.Task[None] | None = None
        self._known: asyncio.Future[None] | None = None
        self._closing = asyncio.Event()
        self.reason = ""
        self.broken: BaseException | None = None

    async def start(self) -> None:
        """Open the sinks; returns once they are open or known to be unavailable for now.

        Raises:
            Exception: they can never be opened.
        """
        self._known = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"collector-{self._spec.id}")
        await self._known
        if self.broken is not None:
            raise self.broken

    @property
    def label(self) -> str:
        """What is written, by its name."""
        return "" if self._spec.sink is None else label_of(self._spec.sink)

    @property
    def trace_ends(self) -> str:
        """Why traces do not go on through it; "" where they do."""
        return "" if self._pusher is None else self._pusher.trace_ends

    async def push(
        self, items: Sequence[object], contexts: Contexts | None = None
    ) -> asyncio.Future[Faults]:
        """Queue items in the sink's wire form; the future tells, by position, what failed.

        Raises:
            HttpError: the sink is not open.
        """
        if self._pusher is not None and items:
            return await self._pusher.push(items, contexts)
        self._refuse_unavailable()
        done: asyncio.Future[Faults] = asyncio.get_running_loop().create_future()
        done.set_result({})
        return done

    async def write(self, faults: list[Fault]) -> bool:
        """Dead-letter elements; whether they are safely there."""
        if self._letters is None:
            return False
        try:
            async with asyncio.timeout(PUSH_S):
                return await self._letters.write(faults)
        except TimeoutError:
            return False

    async def close(self, timeout_s: float) -> None:
        """Push what is queued, until the time is up; close the sinks. Never raises."""
        task, pusher = self._task, self._pusher
        if task is None:
            return
        self._closing.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if pusher is not None:
                    await pusher.close()
                if self._letters is not None:  # else it is waiting for a sink, and may end
                    await asyncio.wait({task})
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)  # to close the sink
        self._abandon(pusher, HttpError(503, "stopping"))

    def _refuse_unavailable(self) -> None:
        if self.broken is not None:
            raise HttpError(503, f"the sink cannot be written: {describe(self.broken)}")
        if self.reason and self._pusher is None:
            raise HttpError(503, f"waiting: {self.reason}", {"Retry-After": "1"})

    async def _run(self) -> None:
        tries = 0
        while not self._closing.is_set():
            try:
                await contained(self._open_and_push())
            except TEMPORARY as error:
                tries = 1 if self._pusher is not None else tries + 1
                self._forget(told(error))
                await self._clock.sleep(backoff_s(tries))
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                self.broken = error
                self._forget(describe(error))
                return
            else:
                return

    async def _open_and_push(self) -> None:
        async with AsyncExitStack() as stack:
            pusher = None
            if self._spec.sink is not None:
                opening = self._spec.sink.sink(self._env, self._spec.output_type)
                sink = await contained(stack.enter_async_context(opening))
                pusher = Pusher(sink, self._plan(self._spec.sink), self._clock, self._wait)
                pusher.times = self._ledger.metrics.parts
            letters = DeadLetters(self._spec.options.dead_letter, self._ledger)
            stack.push_async_callback(letters.close)
            await contained(letters.open(self._env))
            self._pusher, self._letters = pusher, letters
            self._wait("")
            self._tell()
            if pusher is None:
                await self._closing.wait()
            else:
                await pusher.run()

    def _plan(self, sink: Writable) -> PushPlan:
        retries = self._spec.options.retries
        return PushPlan(sink.max_push, sink.linger_s, retries, patience=retries)

    def _wait(self, reason: str) -> None:
        if reason != self.reason:
            self.reason = reason
            self._on_change()

    def _forget(self, reason: str) -> None:
        """Note that the sink is not open any more."""
        pusher, self._pusher, self._letters = self._pusher, None, None
        self._abandon(pusher, self.broken or HttpError(503, f"waiting: {reason}"))
        if not self._closing.is_set():
            self.reason = reason
            self._on_change()
            self._tell()
        else:
            self._ledger.log.add("WARNING", f"closing the sink of {self._spec.id}: {reason}")

    def _tell(self) -> None:
        if self._known is not None and not self._known.done():
            self._known.set_result(None)

    @staticmethod
    def _abandon(pusher: Pusher | None, error: BaseException) -> None:
        for push_request in pusher.left() if pusher is not None else ():
            push_request.done(dict.fromkeys(range(len(push_request.items)), error))
