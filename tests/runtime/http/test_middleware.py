"""Middleware of all kinds around real routes: order, what passes, what streams, what fails."""

from __future__ import annotations

import asyncio
import contextvars
import gzip
from dataclasses import dataclass

import pytest
from aiohttp import ClientError, web
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware

from buildflow_nb.core.declaring.hooks import exception_hook, middleware_hook
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.exceptions import HTTPException
from buildflow_nb.middleware import GZipMiddleware, HTTPSRedirectMiddleware, TrustedHostMiddleware
from buildflow_nb.requests import Request
from buildflow_nb.responses import JSONResponse, PlainTextResponse, StreamingResponse
from buildflow_nb.runtime.http import listener
from buildflow_nb.runtime.http.server import Server
from tests.fakes import FakeSink
from tests.runtime.http.site import serve, until


@dataclass
class Order:
    id: int


def declared(*declared, **services):
    """Hooks of a flow; each is middleware, or a pair of it and its options."""
    found = {}
    for number, one in enumerate(declared):
        target, options = one if isinstance(one, tuple) else (one, {})
        hook = middleware_hook(target, options).numbered(number)
        found[hook.key] = hook
    for service_id, (target, options, base) in services.items():
        hook = middleware_hook(target, options, service_id, base).numbered(1)
        found[hook.key] = hook
    return lambda: found


def marking(word):
    """Middleware that marks requests on the way in and responses on the way out."""

    async def mark(request, call_next):
        request.state.marks = [*getattr(request.state, "marks", []), word]
        response = await call_next(request)
        response.headers.append("X-Out", word)
        return response

    return mark


class Marking:
    """The same as a plain ASGI class."""

    def __init__(self, app, word):
        self.app, self.word = app, word

    async def __call__(self, scope, receive, send):
        scope["state"]["marks"] = [*scope["state"].get("marks", []), self.word]

        async def marked(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-out", self.word.encode())]
            await send(message)

        await self.app(scope, receive, marked)


class Based(BaseHTTPMiddleware):
    """The same as a class made from starlette's."""

    def __init__(self, app, word):
        super().__init__(app)
        self.word = word

    async def dispatch(self, request, call_next):
        return await marking(self.word)(request, call_next)


def order(id: int) -> Order:  # noqa: A002  (the field's name)
    return Order(id)


def marks(request: Request) -> list[str]:
    return request.state.marks


MIXED = [
    (marking("a"), marking("b"), marking("c")),
    ((Marking, {"word": "a"}), (Marking, {"word": "b"}), (Marking, {"word": "c"})),
    (marking("a"), (Marking, {"word": "b"}), marking("c")),
    ((Marking, {"word": "a"}), marking("b"), (Marking, {"word": "c"})),
    ((Based, {"word": "a"}), marking("b"), (Marking, {"word": "c"})),
    (marking("a"), (Based, {"word": "b"}), (Based, {"word": "c"})),
]


@pytest.mark.parametrize("chain", MIXED, ids=["fff", "aaa", "faf", "afa", "bfa", "fbb"])
def test_the_last_added_is_the_outermost(chain):
    async def scenario(site):
        await site.endpoint(marks, method="GET")
        async with site.session.get("/x") as reply:
            assert await reply.json() == ["c", "b", "a"]
            assert reply.headers.getall("X-Out") == ["a", "b", "c"]

    serve(scenario, hooks=declared(*chain))


@pytest.mark.parametrize("chain", MIXED, ids=["fff", "aaa", "faf", "afa", "bfa", "fbb"])
def test_everything_passes_as_it_is_without(chain):
    def take(order: Order) -> Order:
        return order

    def fail() -> str:
        raise KeyError

    def page():
        return PlainTextResponse("hello", 201, {"X-Own": "1"})

    async def stream():
        async def pieces():
            for piece in (b"a", b"b", b"c"):
                yield piece

        return StreamingResponse(pieces(), media_type="text/plain")

    async def scenario(site):
        await site.endpoint(take, "/take")
        await site.endpoint(fail, "/fail", "GET")
        await site.endpoint(page, "/page", "GET")
        await site.endpoint(stream, "/stream", "GET")
        assert (await site.post({"id": 1}, "/take")).json == {"id": 1}
        assert (await site.post({"id": "x"}, "/take")).status == 422
        assert (await site.get("/fail")).detail == "Internal Server Error"
        reply = await site.get("/page")
        assert (reply.status, reply.body, reply.headers["x-own"]) == (201, b"hello", "1")
        assert (await site.get("/stream")).body == b"abc"
        reply = await site.ask("HEAD", "/page")
        assert (reply.status, reply.body, reply.headers["Content-Length"]) == (201, b"", "5")
        reply = await site.ask("HEAD", "/stream")
        assert (reply.status, reply.body) == (200, b"")
        for path, status in [("/nowhere", 404), ("/docs", 200), ("/healthz", 200)]:
            reply = await site.get(path)
            assert (reply.status, "x-out" in reply.headers) == (status, True)
        assert (await site.ask("PUT", "/take")).headers["Allow"] == "OPTIONS, POST"
        assert (await site.ask("OPTIONS", "/take")).status == 204
        assert site.held == 0

    serve(scenario, hooks=declared(*chain))


@pytest.mark.parametrize("chain", [MIXED[0], MIXED[1]], ids=["functions", "classes"])
def test_a_large_body_and_a_collector(chain):
    sink = FakeSink()

    def take(order: Order) -> Order:
        return order

    async def echo(body: bytes) -> bytes:
        return body

    async def scenario(site):
        await site.collector(take, sink, "/take")
        await site.endpoint(echo, "/echo")
        assert (await site.post({"id": 1}, "/take")).json == {"success": True}
        big = bytes(2**20)
        assert (await site.ask("POST", "/echo", data=big)).body == big

    serve(scenario, hooks=declared(*chain))
    assert sink.tape.pushed == [Order(1)]


def test_what_a_function_gives_in_place_of_the_answer():
    async def refuse(request, call_next):
        if request.headers.get("X-Key") != "1":
            return JSONResponse({"detail": "no key"}, 401)
        return await call_next(request)

    async def scenario(site):
        unit = await site.endpoint(order, "/orders/{id}", "GET")
        assert (await site.get("/orders/1")).status == 401
        assert (await site.get("/orders/1", headers={"X-Key": "1"})).json == {"id": 1}
        assert unit.ledger.metrics.codes == {200: 1}  # the other one never reached it

    serve(scenario, hooks=declared(refuse))


def test_status_headers_cookies_and_body_can_be_changed():
    async def change(request, call_next):
        response = await call_next(request)
        assert response.body == b'{"id":1}'
        assert response.headers["content-type"] == "application/json"
        response.status_code = 202
        response.set_cookie("seen", "1")
        response.body = b"changed"
        return response

    async def scenario(site):
        await site.endpoint(order, "/orders/{id}", "GET")
        reply = await site.get("/orders/1")
        assert (reply.status, reply.body) == (202, b"changed")
        assert reply.headers["Set-Cookie"].startswith("seen=1")
        assert reply.headers["Content-Length"] == "7"

    serve(scenario, hooks=declared(change))


@pytest.mark.parametrize("streams", [False, True])
def test_the_body_can_be_read_and_changed_in_pieces(streams):
    async def shout(request, call_next):
        response = await call_next(request)
        pieces = response.body_iterator

        async def louder():
            async for piece in pieces:
                yield piece.upper()

        response.body_iterator = louder()
        return response

    async def pieces():
        yield b'{"a":'
        yield b"1}"

    def stream():
        return StreamingResponse(pieces()) if streams else PlainTextResponse('{"a":1}')

    async def scenario(site):
        await site.endpoint(stream, method="GET")
        assert (await site.get()).body == b'{"A":1}'

    serve(scenario, hooks=declared(shout))


def test_a_body_that_middleware_reads_is_there_for_the_route():
    seen = []

    async def look(request, call_next):
        seen.append(await request.body())
        return await call_next(request)

    def take(order: Order) -> Order:
        return order

    async def scenario(site):
        await site.endpoint(take)
        assert (await site.post({"id": 1})).json == {"id": 1}

    serve(scenario, hooks=declared(look, look))
    assert seen == [b'{"id": 1}'] * 2


def test_a_body_that_a_class_changes_is_what_the_route_gets():
    class Changing:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            async def changed():
                message = await receive()
                return {**message, "body": message.get("body", b"").replace(b"1", b"2")}

            await self.app(scope, changed, send)

    def take(order: Order) -> Order:
        return order

    async def scenario(site):
        await site.endpoint(take)
        assert (await site.post({"id": 1})).json == {"id": 2}

    serve(scenario, hooks=declared(Changing))


def test_what_is_set_in_a_context_is_seen_inside():
    user = contextvars.ContextVar("user")

    async def login(request, call_next):
        user.set("ada")
        return await call_next(request)

    async def who() -> str:
        return user.get()

    async def scenario(site):
        await site.endpoint(who, method="GET")
        assert (await site.get()).json == "ada"

    serve(scenario, hooks=declared(login))


class TestStreams:
    def test_a_stream_is_not_heaped_up(self):
        made, gate = [], asyncio.Event

        async def scenario(site):
            waiting = gate()

            async def pieces():
                for number in range(3):
                    made.append(number)
                    yield b"x"
                    if number == 0:
                        await waiting.wait()

            def stream():
                return StreamingResponse(pieces())

            await site.endpoint(stream, method="GET")
            async with site.session.get("/x") as reply:
                assert await reply.content.read(1) == b"x"
                assert made == [0]
                waiting.set()
                assert await reply.content.read() == b"xx"

        serve(scenario, hooks=declared(marking("a"), (Marking, {"word": "b"})))

    def test_what_is_not_taken_is_given_up(self):
        ended = []

        async def pieces():
            try:
                while True:
                    yield b"x"
            finally:
                ended.append(1)

        def stream():
            return StreamingResponse(pieces())

        async def instead(request, call_next):
            await call_next(request)
            return PlainTextResponse("instead")

        async def scenario(site):
            unit = await site.endpoint(stream, method="GET")
            assert (await site.get()).body == b"instead"
            await until(lambda: ended == [1])
            assert not unit.ledger.failures
            assert unit.drained

        serve(scenario, hooks=declared(instead))

    def test_a_stream_that_fails_midway_is_cut_off_and_kept(self):
        async def pieces():
            yield b"x"
            raise KeyError

        def stream():
            return StreamingResponse(pieces())

        async def scenario(site):
            unit = await site.endpoint(stream, method="GET")
            with pytest.raises(ClientError):
                await site.get()
            assert len(unit.ledger.failures) == 1

        serve(scenario, hooks=declared(marking("a")))

    def test_a_client_that_leaves_ends_it(self):
        ended = []

        async def scenario(site):
            async def pieces():
                try:
                    while True:
                        yield b"x" * 1000
                        await asyncio.sleep(0.001)
                finally:
                    ended.append(1)

            def stream():
                return StreamingResponse(pieces())

            unit = await site.endpoint(stream, method="GET")
            reply = await site.session.get("/x")
            await reply.content.read(1)
            reply.close()
            await until(lambda: ended == [1])
            await until(lambda: unit.drained)
            assert not unit.ledger.failures

        serve(scenario, hooks=declared(marking("a"), marking("b")))

    def test_background_work_is_done_after_the_answer(self):
        after = []

        def work():
            return PlainTextResponse("done", background=BackgroundTask(after.append, 1))

        async def scenario(site):
            await site.endpoint(work, method="GET")
            assert (await site.get()).body == b"done"
            await until(lambda: after == [1])

        serve(scenario, hooks=declared(marking("a")))


class TestFaults:
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("inner", [(), (marking("a"),), ((Marking, {"word": "a"}),)])
    def test_middleware_that_raises_is_kept_and_others_are_served(self, when, inner):
        async def fail(request, call_next):
            response = None if when == "before" else await call_next(request)
            if request.headers.get("X-Bad"):
                raise KeyError(when)
            return response or await call_next(request)

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            reply = await site.get("/orders/1?a=b", headers={"X-Bad": "1"})
            assert (reply.status, reply.detail) == (500, "Internal Server Error")
            (failure,) = unit.ledger.failures
            assert failure.error == f"KeyError: {when!r}"
            assert failure.element == "/orders/1?a=b"
            assert (await site.get("/orders/1")).json == {"id": 1}
            assert (await site.get("/nowhere", headers={"X-Bad": "1"})).status == 500
            assert site.held == 0

        serve(scenario, hooks=declared(*inner, fail))

    def test_one_that_raises_before_a_stream_has_begun_is_answered(self):
        async def fail(request, call_next):
            await call_next(request)
            raise KeyError

        async def pieces():
            yield b"x"
            yield b"y"

        def stream():
            return StreamingResponse(pieces())

        async def scenario(site):
            await site.endpoint(stream, method="GET")
            reply = await site.get()
            assert (reply.status, reply.detail) == (500, "Internal Server Error")

        serve(scenario, hooks=declared(fail))

    def test_an_answer_that_closes_the_connection_closes_it(self, monkeypatch):
        monkeypatch.setattr(listener, "LINGER_S", 0.05)

        def take(order: Order) -> Order:
            return order

        async def scenario(site):
            await site.endpoint(take)
            head = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n"
            found = await site.raw(head)
            assert found.startswith(b"HTTP/1.1 413")
            assert b"connection: close" in found.lower()

        serve(scenario, hooks=declared(marking("a")))
        serve(scenario, hooks=declared((Marking, {"word": "a"})))

    def test_a_header_that_would_be_two_is_refused(self):
        def split() -> PlainTextResponse:
            return PlainTextResponse("x", headers={"X-A": "1\r\nSet-Cookie: a=b"})

        async def scenario(site):
            await site.endpoint(split, method="GET")
            reply = await site.get()
            assert (reply.status, "Set-Cookie" in reply.headers) == (500, False)

        serve(scenario)
        serve(scenario, hooks=declared(marking("a")))

    def test_a_class_that_raises_is_kept_too(self):
        class Failing(Marking):
            async def __call__(self, scope, receive, send):
                raise SystemExit

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == 500
            assert len(unit.ledger.failures) == 1

        serve(scenario, hooks=declared((Failing, {"word": "a"})))

    def test_an_answer_that_is_raised_is_given(self):
        async def refuse(request, call_next):
            raise HTTPException(401, "no key", {"WWW-Authenticate": "Key"})

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            for path in ("/orders/1", "/nowhere"):
                reply = await site.get(path)
                assert (reply.status, reply.detail) == (401, "no key")
                assert reply.headers["WWW-Authenticate"] == "Key"
            assert not unit.ledger.failures

        serve(scenario, hooks=declared(refuse))

    @pytest.mark.parametrize("status", [418, 501])
    def test_handlers_of_errors_are_for_middleware_too(self, status):
        async def fail(request, call_next):
            raise KeyError

        hooks = declared(fail)
        handler = exception_hook(KeyError, lambda request, error: PlainTextResponse("mine", status))
        hooks()[handler.key] = handler

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == status
            assert len(unit.ledger.failures) == (status >= 500)

        serve(scenario, hooks=hooks)

    @pytest.mark.parametrize("given", [None, {"a": 1}, "text"])
    def test_what_is_no_response_is_said_to_be_none(self, given):
        async def wrong(request, call_next):
            await call_next(request)
            return given

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == 500
            assert "which is no response; return what call_next gives" in (
                unit.ledger.failures[0].error
            )

        serve(scenario, hooks=declared(wrong))

    def test_asking_twice_is_an_error_that_says_so(self):
        async def twice(request, call_next):
            await call_next(request)
            return await call_next(request)

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == 500
            assert "call_next was called twice" in unit.ledger.failures[0].error

        serve(scenario, hooks=declared(twice))

    def test_a_class_that_answers_nothing_is_answered_500(self):
        class Silent(Marking):
            async def __call__(self, scope, receive, send):
                return

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == 500
            assert "without an answer" in unit.ledger.failures[0].error

        serve(scenario, hooks=declared((Silent, {"word": "a"})))
        serve(scenario, hooks=declared((Silent, {"word": "a"}), marking("b")))

    def test_an_aiohttp_answer_that_writes_itself_is_cut_off_and_kept(self):
        async def stream(request: web.Request):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x")
            return response

        async def scenario(site):
            unit = await site.endpoint(stream, method="GET")
            with pytest.raises(ClientError):
                await site.get()
            assert "written piece by piece" in unit.ledger.failures[0].error

        serve(scenario, hooks=declared(marking("a")))
        serve(scenario, hooks=declared((Marking, {"word": "a"})))

    def test_a_body_iterator_that_fails_is_cut_off_and_kept(self):
        async def break_off(request, call_next):
            response = await call_next(request)

            async def pieces():
                yield b"x"
                raise KeyError

            response.body_iterator = pieces()
            return response

        async def scenario(site):
            unit = await site.endpoint(order, "/orders/{id}", "GET")
            with pytest.raises(ClientError):
                await site.get("/orders/1")
            assert unit.ledger.failures[0].error.startswith("KeyError")

        serve(scenario, hooks=declared(break_off))


class TestStarlettes:
    def test_gzip(self):
        async def text() -> PlainTextResponse:
            return PlainTextResponse("x" * 5000)

        async def scenario(site):
            await site.endpoint(text, method="GET")
            async with site.session.get("/x", headers={"Accept-Encoding": "gzip"}) as reply:
                assert reply.headers["Content-Encoding"] == "gzip"
                assert await reply.read() == b"x" * 5000
            head = b"GET /x HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
            raw = await site.raw(head + b"Connection: close\r\n\r\n")
            assert gzip.decompress(raw.partition(b"\r\n\r\n")[2]) == b"x" * 5000
            plain = await site.get(headers={"Accept-Encoding": "identity"})
            assert plain.body == b"x" * 5000

        serve(scenario, hooks=declared(GZipMiddleware))

    def test_trusted_hosts(self):
        async def scenario(site):
            await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).status == 400
            named = {"Host": "localhost"}
            assert (await site.get("/orders/1", headers=named)).json == {"id": 1}

        hooks = declared((TrustedHostMiddleware, {"allowed_hosts": ["localhost"]}))
        serve(scenario, hooks=hooks)

    def test_redirect_to_https(self):
        async def scenario(site):
            await site.endpoint(order, "/orders/{id}", "GET")
            reply = await site.get("/orders/1")
            assert reply.status == 307
            assert reply.headers["Location"].startswith("https://127.0.0.1")

        serve(scenario, hooks=declared(HTTPSRedirectMiddleware))


class TestServices:
    def test_middleware_of_a_service_is_around_its_routes_alone(self):
        def hello() -> str:
            return "hello"

        hooks = declared(marking("flow"), shop=(marking("shop"), {}, "/shop"))

        async def scenario(site):
            spec = site.spec(order, "/orders/{id}", "GET", base="/shop")
            await site.start(spec)
            await site.start(
                type(spec)(
                    site.spec(hello, "/hello", "GET").processor,
                    "/hello",
                    "GET",
                    "other",
                    spec.options,
                )
            )

            async def marked(path):
                async with site.session.get(path) as reply:
                    return reply.headers.getall("X-Out", [])

            assert await marked("/shop/orders/1") == ["shop", "flow"]
            assert await marked("/hello") == ["flow"]
            assert await marked("/shop/nowhere") == ["shop", "flow"]
            assert await marked("/shopping") == ["flow"]

        serve(scenario, hooks=hooks)

    def test_the_longest_base_route_counts_where_no_route_is(self):
        hooks = declared(
            shop=(marking("shop"), {}, "/shop"), deep=(marking("deep"), {}, "/shop/deep/")
        )

        async def scenario(site):
            assert (await site.get("/shop/deep/nowhere")).headers["X-Out"] == "deep"
            assert (await site.get("/shop/nowhere")).headers["X-Out"] == "shop"

        serve(scenario, hooks=hooks)

    def test_without_any_a_route_is_asked_directly(self, monkeypatch):
        async def scenario(site):
            await site.endpoint(order, "/orders/{id}", "GET")
            assert (await site.get("/orders/1")).json == {"id": 1}

        monkeypatch.setattr(Server, "_through", None)
        serve(scenario)

    def test_it_is_taken_over_when_it_is_declared_anew(self):
        hooks = declared(marking("a"))

        async def scenario(site):
            await site.endpoint(marks, method="GET")
            assert (await site.get()).json == ["a"]
            hooks().update(declared(marking("b"))())
            assert (await site.get()).json == ["a"]
            site.server.refresh()
            assert (await site.get()).json == ["b"]
            hooks().update(declared((Marking, {"word": "x"}), (Broken, {}))())
            with pytest.raises(DeclarationError, match="'Broken' cannot be made: no way"):
                site.server.refresh()
            assert (await site.get()).json == ["b"]

        serve(scenario, hooks=hooks)


class Broken:
    def __init__(self, app):
        msg = "no way"
        raise ValueError(msg)
