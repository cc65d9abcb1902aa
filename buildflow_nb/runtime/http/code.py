"""One version of a route's code at work: how it is set up, bound to requests, called, torn down.

Async functions run on the loop, sync ones on a thread of the route's threads. A function that exits
(`sys.exit()`) fails like any other: the exit would end the loop, and every route with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.declaring.http_binding import plan_binding
from buildflow_nb.core.declaring.websocket_parameters import WEBSOCKET
from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.concurrency.calls import call_hook, flatten, listed
from buildflow_nb.runtime.http.binding import Arguments, Binding
from buildflow_nb.runtime.http.concurrency_limit import ConcurrencyLimit
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import compile_answer
from buildflow_nb.runtime.http.thread_pool import ThreadPool
from buildflow_nb.runtime.injection import Injector, injector_for
from buildflow_nb.runtime.observability.call_notes import notes_now
from buildflow_nb.runtime.observability.logs import LogRing, current, owned_by
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.scopes import Instances, Supply
from buildflow_nb.runtime.sinks.side_sink import muted_sinks, muting

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.asgi import AsgiConnection

__all__ = ("RouteCode", "RouteSpec", "UnderWay", "lone_code", "same_way_out")

RouteSpec = CollectorSpec | EndpointSpec
OPEN = 10  # WebSockets that may be open for each request that may run: most of them wait
_EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What of a route goes on after its functions have run."""

    tasks: set[asyncio.Task[object]]
    streams: set[AsgiConnection] = field(default_factory=set)  # without an end of their own

    def end_streams(self) -> None:
        """Let every stream end where it is."""
        for stream in set(self.streams):
            stream.end()


class RouteCode:
    """Compiled code of a route; `set_up` makes it ready for requests."""

    def __init__(
        self, spec: RouteSpec, threads: ThreadPool, ring: LogRing, injector: Injector | None = None
    ) -> None:
        """Compile.

        Raises:
            DeclarationError: a parameter or the answer does not convert.
        """
        self.spec = spec
        self.owner = f"{spec.kind} {spec.id!r}"
        self._threads = threads
        self.in_thread = threads.run
        self.ring = ring
        self._injector = injector
        self._instance: object | None = None
        processor = spec.processor
        target = getattr(processor.target, "process") if processor.is_class else processor.target  # noqa: B009
        self.binding = Binding(plan_binding(spec), target)
        self.answer = compile_answer(processor.returns, self.owner, many=processor.many)
        self._redaction = redaction_of(spec)
        most = spec.options.max_concurrent_queries * spec.options.num_replicas
        self.limit = ConcurrencyLimit(most * OPEN if spec.method == WEBSOCKET else most)
        self._call: Callable[..., Any] = processor.target
        own = injector is not None and injector.per_call
        self._many = processor.many and not own  # with dependencies of its own it gives a list
        self.needs_request = injector is not None and injector.takes_request
        if self.needs_request:  # which may read the body, too
            self.binding.takes_request = True
        self.call = self._call_async if processor.is_async else self._call_sync

    async def set_up(self) -> None:
        """Make what it depends on, the instance of a class, and call its `setup`.

        Raises:
            Exception: whatever the user's code raised; nothing is kept.
        """
        processor = self.spec.processor
        try:
            if self._injector is not None:
                await self._injector.set_up()
            if processor.is_class:
                self._instance = await self._threads.run(processor.instance)
                await self._hook("setup")
        except BaseException:
            if self._injector is not None:
                await self._injector.tear_down()
            raise
        call = self._as_called(processor.call(self._instance))
        self._call = call if self._injector is None else self._injector.bound(call)

    def _as_called(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The user's code as it is called with bound arguments, and with what it depends on."""
        return call

    async def tear_down(self) -> None:
        """Call `teardown`, if there is one; let go of what it depends on.

        Raises:
            Exception: whatever the user's code raised.
        """
        try:
            await self._hook("teardown")
        finally:
            if self._injector is not None:
                await self._injector.tear_down()

    async def end(self, timeout_s: float, log: LogRing) -> None:
        """Tear down, in this time at most; what the user's code raises is logged."""
        try:
            async with asyncio.timeout(max(timeout_s, 0.1)):
                await self.tear_down()
        except Exception as error:  # noqa: BLE001  (user code; it must not stop the stop)
            log.add("ERROR", f"teardown of {self.owner}: {describe(error)}")

    async def send(self, element: object) -> list[object]:
        """Run one element (a dict of parameters, or the body) without HTTP, and give its results.

        Raises:
            ConversionError: it does not fit the parameters.
            UsageError: the route takes the request itself.
            Exception: whatever the code raised.
        """
        self.refuse_without_request()
        with muted_sinks():
            result = await self.call(self.binding.from_element(element))
        return flatten(result) if isinstance(self.spec, CollectorSpec) else [result]

    def refuse_without_request(self) -> None:
        """Look whether it can be called without a request.

        Raises:
            UsageError: a dependency takes it, or it is a WebSocket.
        """
        if self.spec.method == WEBSOCKET:
            msg = (
                f"{self.owner} takes messages of a WebSocket, not elements; try it with "
                f"`with app.client().{self.spec.id}(...) as ws: ws.send(...)`"
            )
            raise UsageError(msg)
        if self.needs_request:
            msg = (
                f"a dependency of {self.owner} takes the request itself; call its route over HTTP "
                "instead, or give something in its place by app.override(...)"
            )
            raise UsageError(msg)

    @staticmethod
    def seen(request: BoundedRequest, values: Mapping[str, str]) -> object:
        """The request as dependencies see it."""
        from buildflow_nb.runtime.http.asgi import request_of  # loads starlette

        return request_of(request, values)

    async def _hook(self, name: str) -> None:
        with owned_by(self.ring):
            await call_hook(self._instance, name, self._threads.run)

    async def _call_async(self, arguments: Arguments, request: object = None) -> Any:
        """Call with bound arguments; several results come as a list."""
        self._hide(arguments)
        token = current.set(notes_now() or self.ring)
        call = self._call if request is None else partial(self._call, __request__=request)
        try:
            found = self.binding.invoke(call, arguments)
            if self._many:
                return await listed(found)
            return _unrolled(await found)
        except _EXITS as error:
            raise _exited(error) from error
        finally:
            current.reset(token)

    def _hide(self, arguments: Arguments) -> None:
        """Let nothing that the code prints or says show secrets among these."""
        if self._redaction.secret:
            self.ring.hide(self._redaction.secrets(self.binding.element(arguments)))

    async def _call_sync(self, arguments: Arguments, request: object = None) -> Any:
        self._hide(arguments)
        call = self._call if request is None else partial(self._call, __request__=request)
        work = partial(self._work, call, arguments)
        if (notes := notes_now()) is not None:
            work = partial(notes.of, work)
        # a thread has a context of its own; what it must know of this one is told
        return await self._threads.run(muting(work) if self._injector is not None else work)

    def _work(self, call: Callable[..., Any], arguments: Arguments) -> Any:
        return _unrolled(self.binding.invoke(call, arguments))


@asynccontextmanager
async def lone_code(
    spec: RouteSpec, purpose: str, ring: LogRing, supply: Supply
) -> AsyncIterator[RouteCode]:
    """A route's code with a thread of its own, for as long as the context lasts; nothing is served.

    Raises:
        Exception: the user's setup or teardown failed; nothing stays open.
    """
    threads = ThreadPool(f"{purpose} {spec.id}", ring, 1)
    try:
        instances = Instances(supply.shared)
        injector = injector_for(spec.processor, instances, supply, threads.run)
        code = RouteCode(spec, threads, ring, injector)
        await code.set_up()
        try:
            yield code
        finally:
            await code.tear_down()
    finally:
        threads.close()


def _unrolled(result: Any) -> Any:
    """A generator's results as a list: running it is running user code."""
    return list(result) if type(result) is GeneratorType else result


def _exited(error: BaseException) -> RuntimeError:
    return RuntimeError(describe(error))


def same_way_out(old: RouteSpec, new: ProcessorSpec) -> bool:
    """Whether new code can use what the old one opened."""
    if old.kind != new.kind or old.id != new.id:
        return False
    if isinstance(new, EndpointSpec) and (old.method == WEBSOCKET) != (new.method == WEBSOCKET):
        return False
    if not isinstance(old, CollectorSpec) or not isinstance(new, CollectorSpec):
        return True
    return (
        old.sink == new.sink
        and old.output_type == new.output_type
        and old.options.retries == new.options.retries
        and old.options.dead_letter == new.options.dead_letter
    )
