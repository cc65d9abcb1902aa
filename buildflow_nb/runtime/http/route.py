"""A collector or an endpoint at work: the unit between the server and the user's function.

A collector answers only when what its function returned is in the sink; concurrent requests share
pushes. An endpoint answers with what its function returned. An exception costs its own request a
500, with nothing of it in the answer, and is kept in the ledger with its arguments.

When the code is swapped, requests that have been bound to the old code finish with it, and only
then is it torn down; every later one meets the new code. A client that goes away does not stop its
request: what it sent is processed to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, cast

from aiohttp import web

from buildflow_nb.core.declaring.flow_spec import CollectorSpec, ProcessorSpec
from buildflow_nb.core.errors import TemporaryError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.http.binding import Arguments
from buildflow_nb.runtime.http.code import RouteCode, RouteSpec, UnderWay, same_way_out
from buildflow_nb.runtime.http.collector import Call, Collector, CollectorSink
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.inputs import at_once, received
from buildflow_nb.runtime.http.manual_retry import retry_call
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import (
    error_response,
    fault_of,
    is_starlette_response,
    own_answer,
)
from buildflow_nb.runtime.http.route_failures import RouteFailures
from buildflow_nb.runtime.http.route_numbers import RouteNumbers
from buildflow_nb.runtime.http.server import Server
from buildflow_nb.runtime.http.thread_pool import MAX_THREADS, ThreadPool
from buildflow_nb.runtime.http.tracing import RouteTracing, traced_as
from buildflow_nb.runtime.injection import injector_for
from buildflow_nb.runtime.liveness import Liveness
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.scopes import Instances, Supply
from buildflow_nb.runtime.unit import Unit, not_ready

__all__ = ("HttpRoute",)

SWITCHED = 101
CLIENT_GONE = 499  # what proxies log for a request whose client did not wait; never sent
OPEN_S = 2.0  # that a request waits for the code and the sink of a route that starts
TEARDOWN_S = 10.0  # seconds for the teardown of code that was swapped out


class HttpRoute(RouteNumbers):
    """The unit of one route; made, used and stopped on the loop of its server."""

    read_to_end: ClassVar[object | None] = None
    """It reads no source."""

    def __init__(self, spec: RouteSpec, supply: Supply, server: Server, ledger: Ledger) -> None:
        self.spec: RouteSpec = spec
        self.ledger = ledger
        self.live = Liveness(ledger)
        self._opened = asyncio.Event()
        self._server = server
        self._supply = supply
        self._instances = Instances(supply.shared)
        self._failures = RouteFailures(lambda: self.spec, ledger, server.handlers)
        self._threads: ThreadPool | None = None
        self._code: RouteCode | None = None
        self._collector: Collector | None = None
        self._sink: CollectorSink | None = None
        self._requests: set[asyncio.Task[object]] = set()
        self._under_way = UnderWay(self._requests)
        self._retiring: set[asyncio.Task[None]] = set()
        self._tracing = RouteTracing.of(spec, ledger)

    @property
    def id(self) -> str:
        """The processor's id."""
        return self.spec.id

    @property
    def method(self) -> str:
        """The method that it serves."""
        return self.spec.method

    @property
    def path(self) -> str:
        """The route, with `{parameters}`."""
        return self.spec.route

    @property
    def drained(self) -> bool:
        """Whether nothing is under way; it does not start or wait for its sink."""
        busy = self.ledger.metrics.in_flight or self._requests
        return self.live.state is State.RUNNING and not busy

    async def start(self) -> None:
        """Mount, set up the code, open the sink; WAITING while the sink cannot be opened.

        Requests that come meanwhile wait for a moment.

        Raises:
            Exception: the setup failed, the sink can never be opened, or the route is taken.
        """
        self.live.begin()
        self.ledger.redaction = redaction_of(self.spec)
        try:
            self._server.mount(self)
            await self._set_up()
        except BaseException as error:
            self._server.suspend(self, "it could not be set up")
            await self._end(0.0)
            self.live.enter(State.FAILED, describe(error))
            raise
        self._sink_changed()

    async def prepare(self, old: Unit | None) -> None:  # noqa: ARG002  (it leaves nothing over)
        """Set up the code and open the sink, or find that it cannot be opened for now."""
        try:
            self._server.refuse_taken(self)
            await self._set_up()
        except BaseException:
            await self._end(0.0)
            raise

    async def take_over(self, old: Unit | None, timeout_s: float) -> None:
        """Answer every request from now on; those that the other unit is at finish there."""
        self._server.mount(self)
        self.live.begin()
        self.ledger.redaction = redaction_of(self.spec)
        self._sink_changed()
        if old is not None:
            await old.retire(timeout_s)

    async def _set_up(self) -> None:
        size = self.spec.options.max_concurrent_queries * self.spec.options.num_replicas
        self._threads = ThreadPool(
            f"{self.spec.kind}-{self.id}", self.ledger.log, min(size, MAX_THREADS)
        )
        self._failures.threads = self._threads
        code = self._compiled(self.spec, self._threads)
        await code.set_up()
        if isinstance(self.spec, CollectorSpec):
            self._sink = CollectorSink(self.spec, self._supply.env, self.ledger, self._sink_changed)
            self._collector = Collector(self.spec, self._sink, self.ledger, self._failures.keep)
            self._failures.sink = self._sink
            await self._sink.start()
        self._code = code
        self._opened.set()

    def _compiled(self, spec: RouteSpec, threads: ThreadPool) -> RouteCode:
        injector = injector_for(spec.processor, self._instances, self._supply, threads.run)
        return RouteCode(spec, threads, self.ledger.log, injector)

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code, another route or method take over between two requests.

        False where the sink, its element type, the retries or the kind differ.

        Raises:
            Exception: the new code does not convert, its setup failed, or its route is taken.
        """
        if self._threads is None or self._code is None or not same_way_out(self.spec, spec):
            return False
        made = self._compiled(spec, self._threads)  # type: ignore[arg-type]  # checked
        await made.set_up()
        old_code, old_spec = self._code, self.spec
        self.spec = made.spec
        try:
            self._server.mount(self)
        except BaseException:
            self.spec = old_spec
            await made.end(TEARDOWN_S, self.ledger.log)
            raise
        self._code = made
        self.ledger.redaction = redaction_of(made.spec)
        self.ledger.version += 1
        retiring = asyncio.create_task(self._retire(old_code))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        return True

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """Answer 503; with `drain`, let requests in flight finish. What is left gets one, too."""
        self._server.suspend(self, "stopped" if self._threads is None else "stopping")
        if self._threads is None:
            self.live.enter(State.STOPPED)
            return
        self.live.enter(State.DRAINING)
        deadline = self.ledger.clock.now() + timeout_s
        self._under_way.end_streams()
        while drain and self._requests and (left := deadline - self.ledger.clock.now()) > 0:
            await asyncio.wait(set(self._requests), timeout=left)  # and what they leave to do
        for task in set(self._requests):
            task.cancel()
        if self._requests:
            await asyncio.wait(set(self._requests), timeout=1.0)  # to answer 503
        await self._end(max(deadline - self.ledger.clock.now(), 0.0))
        self._server.suspend(self, "stopped")
        self.live.enter(State.STOPPED)

    async def retire(self, timeout_s: float) -> None:
        """Stop for a successor, which answers in its place."""
        self.live.end()
        await self.stop(drain=True, timeout_s=timeout_s)
        self._server.unmount(self)

    async def send(self, element: object) -> list[object]:
        """Run one element through the code, as `RouteCode.send`."""
        code = self._code
        if code is None:
            msg = f"{self.spec.kind} {self.id!r} does not run; start it first"
            raise UsageError(msg)
        return await code.send(element)

    async def retry(self, wanted: RetryInput) -> RetryResult:
        """Run one failed call through the code of this moment; a collector's results are stored."""
        code, task = self._code, asyncio.current_task()
        if code is None or self.ledger.state.ended:
            raise not_ready(self.spec, self.ledger)
        self._requests.add(cast("asyncio.Task[object]", task))
        try:
            return await retry_call(code, wanted, self._collector, self.ledger)
        except HttpError as fault:
            raise TemporaryError(str(fault.detail)) from fault
        except asyncio.CancelledError:
            if self.live.state not in (State.DRAINING, State.STOPPED):
                raise
            msg = f"{self.spec.kind} {self.id!r} stopped meanwhile; its results may be written"
            raise TemporaryError(msg) from None
        finally:
            self._requests.discard(cast("asyncio.Task[object]", task))

    async def handle(
        self, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one request; `values` are its path parameters. Raises nothing but cancellation."""
        metrics, now = self.ledger.metrics, self.ledger.clock.now
        began = now()
        metrics.taken.add(1, began)
        metrics.in_flight += 1
        self._requests.add(task := cast("asyncio.Task[object]", asyncio.current_task()))
        visit = request.visit = self._tracing.begin(request.headers, began)
        status = CLIENT_GONE
        try:
            response = await self._respond(request, values)
        except HttpError as fault:
            response = await self._failures.answered(fault, request, values)
            status = response.status
            return response
        except asyncio.CancelledError:
            if self.live.state is not State.DRAINING or request.answering:
                raise
            status = 503
            return error_response(status, "stopping", close=True)
        else:
            status = response.status
            return response
        finally:
            if request.asgi is not None:
                request.asgi.close()
            self._requests.discard(task)
            metrics.in_flight -= 1
            self.ledger.activity.stir()
            ended = now()
            if status != SWITCHED:  # a WebSocket lasts as long as its client stays
                metrics.latency.add(ended - began, 1, ended)
                self._tracing.ended(visit, ended, status, stores=self._collector is not None)
            metrics.codes[status] = metrics.codes.get(status, 0) + 1

    async def broken(
        self, error: BaseException, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one request whose middleware failed."""
        return await self._failures.around(error, request, values)

    async def _ready(self) -> RouteCode:
        if self._code is None and self.live.state is State.STARTING:
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_S):
                    await self._opened.wait()
        if self._code is not None:
            return self._code
        if self.live.state is State.STARTING:
            raise HttpError(503, "starting; try again in a moment", {"Retry-After": "1"})
        raise HttpError(503, "stopping", {"Retry-After": "1"}, close=True)

    async def _respond(
        self, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        code = self._code or await self._ready()
        body = at_once(code, request)
        if body is None:
            body = await received(code, request, values)
            code = self._code or await self._ready()  # swapped while the body arrived
        body_at = self.ledger.clock.now()
        try:
            arguments = code.binding.bind(request, values, body)
        except BaseException as refusal:  # a type of the user's may raise anything
            answer = await self._failures.refused(refusal, request, values, body)
            if answer is None:
                raise
            return answer
        self._tracing.bound(request.visit, body_at, self.ledger.clock.now())
        if code.limit.open:
            code.limit.inside += 1
        else:
            await code.limit.enter()
        request.limit = code.limit
        try:
            return await self._run(code, request, values, arguments)
        finally:
            request.limit = None
            code.limit.leave()

    async def _run(
        self,
        code: RouteCode,
        request: BoundedRequest,
        values: Mapping[str, str],
        arguments: Arguments,
    ) -> web.StreamResponse:
        clock, visit = self.ledger.clock, request.visit
        began = clock.now()
        try:
            asked = code.seen(request, values) if code.needs_request else None
            result = await self._tracing.called(code, arguments, asked, visit)
            seconds = clock.now() - began
            if self._collector is not None:
                element, by_name = code.binding.element(arguments), code.binding.by_name(arguments)
                return await self._collector.store(Call(element, by_name, visit), result, seconds)
            if isinstance(result, web.StreamResponse):
                response = own_answer(request, result)
            elif is_starlette_response(result):
                from buildflow_nb.runtime.http.reply import send_response  # loads starlette

                response = await send_response(result, code, request, values, self._under_way)
            else:
                response = code.answer(result)
        except BaseException as error:  # user code may raise anything
            if is_cancel(error):
                raise
            fault = None if request.answering else fault_of(error)
            if fault is error:
                raise
            if fault is not None:
                raise fault from error
            gone = request.its_end(error)
            if gone is not None:
                raise gone from None
            return await self._failures.failed(code, request, values, arguments, error)
        element = code.binding.element(arguments)
        self._tracing.answered(visit, element, result, clock.now())
        self.ledger.record(element, (result,))
        self.ledger.passed((element,), ((result,),), seconds, traced_as(visit))
        self.ledger.metrics.given.add(1, began + seconds)
        return response

    def _sink_changed(self) -> None:
        """Take over what the sink says of itself."""
        sink = self._sink
        if not self._opened.is_set() or self.live.state in (State.DRAINING, State.STOPPED):
            return
        if sink is not None and sink.broken is not None:
            self.live.enter(State.FAILED, sink.reason)
        elif sink is not None and sink.reason:
            self.live.enter(State.WAITING, sink.reason)
        else:
            self.live.enter(State.RUNNING)

    async def _retire(self, code: RouteCode) -> None:
        """Tear swapped-out code down once its last request is answered."""
        await code.limit.emptied()
        await code.end(TEARDOWN_S, self.ledger.log)

    async def _end(self, timeout_s: float) -> None:
        """Close whatever is open; never raises."""
        sink, code, threads = self._sink, self._code, self._threads
        self._sink = self._collector = self._code = self._threads = None
        self._failures.sink = self._failures.threads = None
        if sink is not None:
            await sink.close(timeout_s)
        if self._retiring:
            await asyncio.wait(set(self._retiring), timeout=max(timeout_s, 0.1))
        for task in self._retiring:
            task.cancel()
        if code is not None:
            await code.end(timeout_s, self.ledger.log)
        if threads is not None:
            threads.close()
