"""Errors that the flow's own handlers answer, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
from aiohttp import ClientError, web
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException as StarlettesException
from starlette.requests import Request

from buildflow_nb.core.declaring.hooks import exception_hook
from buildflow_nb.exceptions import HTTPException
from buildflow_nb.responses import JSONResponse, PlainTextResponse, StreamingResponse
from buildflow_nb.runtime.http import listener
from tests.fakes import FakeSink
from tests.runtime.http.site import serve, until


class OutOfStockError(Exception):
    """The user's own."""


@dataclass
class Order:
    id: int


@dataclass
class Broken:
    id: int

    def __post_init__(self):
        raise OutOfStockError


def hooks_of():
    """What a flow holds, to be filled with handlers."""
    found = {}

    def handler(kind):
        def add(function):
            hook = exception_hook(kind, function)
            found[hook.key] = hook
            return function

        return add

    return found, handler


def teapot(request, error):
    return JSONResponse({"error": type(error).__name__, "path": request.url.path}, 418)


def failing(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_that_a_handler_answers_is_counted_by_its_status_and_not_kept(is_async):
    hooks, handler = hooks_of()
    threads = []

    @handler(OutOfStockError)
    def sync(request, error):
        threads.append(threading.current_thread().name)
        return teapot(request, error)

    if is_async:

        @handler(OutOfStockError)
        async def awaited(request: Request, error: OutOfStockError):
            threads.append(threading.current_thread().name)
            await asyncio.sleep(0)
            return teapot(request, error)

    async def scenario(site):
        unit = await site.endpoint(failing(OutOfStockError("no pens")), method="GET")
        reply = await site.get("/x?secret=1")
        assert (reply.status, reply.json) == (418, {"error": "OutOfStockError", "path": "/x"})
        assert not unit.ledger.failures
        assert not unit.ledger.log.lines()
        assert unit.ledger.metrics.failed == 0
        assert unit.ledger.metrics.codes == {418: 1}

    serve(scenario, hooks=lambda: hooks)
    (name,) = threads
    assert (name == threading.current_thread().name) is is_async


@pytest.mark.parametrize("status", [499, 500, 503])
def test_what_a_handler_answers_with_500_or_more_is_kept(status):
    hooks, handler = hooks_of()
    handler(OutOfStockError)(lambda request, error: PlainTextResponse("down", status))
    handler(KeyError)(failing_handler(HTTPException(status, "down")))

    async def scenario(site):
        for error in (OutOfStockError("no pens"), KeyError("pens")):
            unit = await site.endpoint(failing(error), method="GET")
            assert (await site.get()).status == status
            kept = [one.error for one in unit.ledger.failures]
            assert kept == ([f"{type(error).__name__}: {error}"] if status >= 500 else [])
            assert unit.ledger.metrics.codes == {status: 1}
            await unit.stop(drain=True, timeout_s=5)

    serve(scenario, hooks=lambda: hooks)


def test_without_a_handler_for_it_the_answer_is_500_as_ever():
    hooks, handler = hooks_of()
    handler(KeyError)(teapot)

    async def scenario(site):
        await site.endpoint(failing(OutOfStockError()), method="GET")
        reply = await site.get()
        assert (reply.status, reply.detail) == (500, "Internal Server Error")

    serve(scenario, hooks=lambda: hooks)


def test_the_closest_handler_is_the_one_that_is_declared_at_that_time():
    hooks, handler = hooks_of()

    async def scenario(site):
        await site.endpoint(failing(OutOfStockError()), method="GET")
        assert (await site.get()).status == 500
        handler(Exception)(lambda request, error: PlainTextResponse("general", 501))
        assert (await site.get()).status == 501
        handler(OutOfStockError)(lambda request, error: PlainTextResponse("close", 502))
        assert (await site.get()).body == b"close"
        handler(OutOfStockError)(lambda request, error: PlainTextResponse("closer", 503))
        assert (await site.get()).body == b"closer"
        hooks.clear()
        assert (await site.get()).status == 500

    serve(scenario, hooks=lambda: hooks)


@pytest.mark.parametrize(
    "error",
    [
        HTTPException(404, "no such pen", {"X-Pen": "1"}),
        StarlettesException(404, "no such pen", {"X-Pen": "1"}),
        web.HTTPNotFound(text="no such pen", headers={"X-Pen": "1"}),
    ],
    ids=["ours", "starlette's", "aiohttp's"],
)
def test_an_answer_that_was_raised_is_handled_and_not_kept(error):
    hooks, handler = hooks_of()
    seen = []

    @handler(404)
    def missing(request, error):
        seen.append(error)
        return PlainTextResponse("nothing here", 404)

    async def scenario(site):
        unit = await site.endpoint(failing(error), method="GET")
        reply = await site.get()
        assert (reply.status, reply.body) == (404, b"nothing here")
        assert not unit.ledger.failures

    serve(scenario, hooks=lambda: hooks)
    assert seen == [error]


def test_what_routes_and_the_server_refuse_comes_as_an_http_exception():
    hooks, handler = hooks_of()
    seen = []

    @handler(HTTPException)
    async def every(request: Request, error: HTTPException):
        seen.append((error.status_code, error.detail))
        return PlainTextResponse(f"{request.method} {error.status_code}", error.status_code)

    def take(order: Order) -> Order:
        return order

    async def scenario(site):
        unit = await site.endpoint(take)
        for method, path, status in [
            ("GET", "/nowhere", 404),
            ("PUT", "/x", 405),
            ("GET", "/docs/nowhere", 404),
            ("DELETE", "/docs", 405),
        ]:
            reply = await site.ask(method, path)
            assert (reply.status, reply.body) == (status, f"{method} {status}".encode())
        assert (await site.post({"id": "x"})).body == b"POST 422"
        assert (await site.ask("OPTIONS", "/x")).status == 204
        assert (await site.get("/docs")).status == 200
        assert not unit.ledger.failures

    serve(scenario, hooks=lambda: hooks)
    assert seen[0] == (404, "Not Found")
    assert seen[-1][1] == [
        {"loc": ["body", "id"], "msg": "Expected int, got str", "type": "int_type"}
    ]


def test_too_long_a_body_closes_the_connection_all_the_same(monkeypatch):
    monkeypatch.setattr(listener, "LINGER_S", 0.05)
    hooks, handler = hooks_of()
    handler(413)(lambda request, error: PlainTextResponse("too long", 413))

    def take(order: Order) -> Order:
        return order

    async def scenario(site):
        await site.endpoint(take)
        head = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n"
        found = await site.raw(head)  # until the server closes
        assert found.startswith(b"HTTP/1.1 413")
        assert b"Connection: close" in found
        assert found.endswith(b"too long")

    serve(scenario, hooks=lambda: hooks)


@pytest.mark.parametrize("status", [418, 501])
def test_a_type_that_breaks_over_a_value_is_handled_and_kept_from_500_on(status):
    hooks, handler = hooks_of()
    handler(Exception)(lambda request, error: PlainTextResponse("broken", status))

    def take(order: Broken) -> int:
        return 1

    async def scenario(site):
        unit = await site.endpoint(take)
        assert (await site.post({"id": 1})).status == status
        assert len(unit.ledger.failures) == (status >= 500)

    serve(scenario, hooks=lambda: hooks)


def test_collectors_have_handlers_too():
    hooks, handler = hooks_of()
    handler(OutOfStockError)(teapot)
    handler(KeyError)(lambda request, error: PlainTextResponse("broken", 500))
    sink, letters = FakeSink(), FakeSink()

    def take(order: Order) -> Order:
        if order.id < 0:
            raise OutOfStockError if order.id == -1 else KeyError(order.id)
        return order

    async def scenario(site):
        unit = await site.collector(take, sink, dead_letter=letters)
        assert (await site.post({"id": -1})).status == 418
        assert (await site.post({"id": 1})).status == 200
        assert sink.tape.pushed == [Order(1)]
        assert not unit.ledger.failures
        assert not letters.tape.pushed
        assert (await site.post({"id": -2})).status == 500
        assert len(unit.ledger.failures) == len(letters.tape.pushed) == 1

    serve(scenario, hooks=lambda: hooks)


class TestBadHandlers:
    def failed(self, function, *, handled=OutOfStockError):
        hooks, handler = hooks_of()
        handler(handled)(function)
        found = []

        async def scenario(site):
            unit = await site.endpoint(failing(OutOfStockError("no pens")), method="GET")
            reply = await site.get()
            assert (reply.status, reply.detail) == (500, "Internal Server Error")
            assert (await site.get()).status == 500  # and the next one is served
            found.extend(one.error for one in unit.ledger.failures)

        serve(scenario, hooks=lambda: hooks)
        return found[:2]

    def test_one_that_fails_is_kept_beside_what_it_was_for(self):
        assert self.failed(lambda request, error: 1 / 0) == [
            "OutOfStockError: no pens",
            "ZeroDivisionError: division by zero",
        ]

    def test_one_that_leaves_python_is_none_better(self):
        async def leave(request, error):
            raise SystemExit

        assert len(self.failed(leave)) == 2

    @pytest.mark.parametrize("given", [None, {"a": 1}, "text", 404])
    def test_one_that_gives_no_response_says_what_it_should_give(self, given):
        said = self.failed(lambda request, error: given)[1]
        assert "which is no response; return JSONResponse(...)" in said

    def test_one_that_cannot_be_found_answers_500_and_is_logged(self, caplog):
        hooks, handler = hooks_of()
        handler(404)(lambda request, error: 1 / 0)

        async def scenario(site):
            assert (await site.get("/nowhere")).status == 500
            assert (await site.get("/nowhere")).status == 500

        serve(scenario, hooks=lambda: hooks)
        assert "what answers errors failed at GET /nowhere" in caplog.text
        assert "ZeroDivisionError" in caplog.text


def test_a_handler_may_raise_an_answer():
    hooks, handler = hooks_of()
    handler(OutOfStockError)(failing_handler(HTTPException(409, "sold")))
    handler(404)(failing_handler(HTTPException(410, "gone")))

    async def scenario(site):
        await site.endpoint(failing(OutOfStockError()), method="GET")
        reply = await site.get()
        assert (reply.status, reply.detail) == (409, "sold")
        assert (await site.get("/nowhere")).status == 410

    serve(scenario, hooks=lambda: hooks)


def failing_handler(error):
    def fail(request, found):
        raise error

    return fail


def test_a_handler_may_take_and_give_aiohttps():
    hooks, handler = hooks_of()

    @handler(OutOfStockError)
    async def answer(request: web.Request, error: OutOfStockError) -> web.Response:
        return web.Response(text=f"{request.path} {error}", status=410)

    async def scenario(site):
        await site.endpoint(failing(OutOfStockError("no pens")), method="GET")
        reply = await site.get()
        assert (reply.status, reply.body) == (410, b"/x no pens")

    serve(scenario, hooks=lambda: hooks)


def test_a_handler_may_stream_and_go_on_afterwards():
    hooks, handler = hooks_of()
    after = []

    async def pieces():
        for piece in (b"a", b"b"):
            yield piece

    @handler(OutOfStockError)
    def answer(request, error):
        return StreamingResponse(pieces(), 410, background=BackgroundTask(after.append, 1))

    async def scenario(site):
        await site.endpoint(failing(OutOfStockError()), method="GET")
        reply = await site.get()
        assert (reply.status, reply.body) == (410, b"ab")
        await until(lambda: after == [1])

    serve(scenario, hooks=lambda: hooks)


def test_what_has_begun_cannot_be_answered_anew():
    hooks, handler = hooks_of()
    seen = []

    @handler(OutOfStockError)
    def answer(request, error):
        seen.append(error)
        return PlainTextResponse("late", 410)

    async def pieces():
        yield b"a"
        raise OutOfStockError

    def stream():
        return StreamingResponse(pieces())

    async def scenario(site):
        unit = await site.endpoint(stream, method="GET")
        with pytest.raises(ClientError):
            await site.get()
        assert len(unit.ledger.failures) == 1

    serve(scenario, hooks=lambda: hooks)
    assert seen == []
