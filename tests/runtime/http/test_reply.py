"""Starlette's responses from endpoints: sent, streamed, cut off, followed by background work."""

from __future__ import annotations

import asyncio
import threading

import aiohttp
import pytest
from starlette.background import BackgroundTask, BackgroundTasks

from buildflow_nb.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.http import concurrency_limit
from buildflow_nb.runtime.http.concurrency_limit import ConcurrencyLimit
from tests.runtime.http.site import Site, serve, until
from tests.runtime.http.test_asgi import opened

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"


def returning(make):
    async def give():
        return make()

    return give


@pytest.mark.parametrize(
    ("make", "status", "headers", "body"),
    [
        (lambda: JSONResponse({"a": 1}), 200, {"Content-Type": "application/json"}, b'{"a":1}'),
        (lambda: JSONResponse([], 201), 201, {"Content-Type": "application/json"}, b"[]"),
        (
            lambda: HTMLResponse("<p>é"),
            200,
            {"Content-Type": "text/html; charset=utf-8"},
            b"<p>\xc3\xa9",
        ),
        (
            lambda: PlainTextResponse("a", 404),
            404,
            {"Content-Type": "text/plain; charset=utf-8"},
            b"a",
        ),
        (lambda: RedirectResponse("/y"), 307, {"Location": "/y"}, b""),
        (lambda: Response(status_code=204), 204, {}, b""),
        (
            lambda: Response(memoryview(b"abc"), media_type="a/b"),
            200,
            {"Content-Type": "a/b"},
            b"abc",
        ),
    ],
)
def test_a_response_comes_as_it_was_made(make, status, headers, body):
    async def scenario(site: Site):
        unit = await site.endpoint(returning(make), method="GET")
        for method in ("GET", "HEAD"):
            reply = await site.ask(method)
            assert (reply.status, reply.body) == (status, body if method == "GET" else b"")
            assert headers.items() <= reply.headers.items()
            assert reply.headers["Server"] == "buildflow"
            if body:
                assert reply.headers["Content-Length"] == str(len(body))
        shot = unit.snapshot()
        assert (shot.in_flight, shot.failed, dict(shot.codes)) == (0, 0, {status: 2})

    serve(scenario)


def test_cookies_are_headers_of_their_own():
    def make():
        made = Response("a")
        made.set_cookie("a", "1", httponly=True)
        made.set_cookie("b", "2")
        return made

    async def scenario(site: Site):
        await site.endpoint(returning(make), method="GET")
        async with site.session.get("/x") as found:
            assert len(found.headers.getall("Set-Cookie")) == 2
            assert found.cookies["a"]["httponly"]

    serve(scenario)


async def asynchronous(closed, ended):
    try:
        yield "a"
        yield b"b"
        await asyncio.Event().wait()
        ended.append(1)
    finally:
        closed.append(threading.current_thread())


def synchronous(closed, ended):
    try:
        yield "a"
        yield b"b"
        while not ended:
            threading.Event().wait(0.01)
            yield "."
    finally:
        closed.append(threading.current_thread())


@pytest.mark.parametrize("pieces", [asynchronous, synchronous])
def test_a_client_that_leaves_ends_the_stream(pieces):
    closed, ended = [], []

    async def scenario(site: Site):
        unit = await site.endpoint(
            returning(lambda: StreamingResponse(pieces(closed, ended))), method="GET"
        )
        reader, writer = await opened(site, GET)
        await reader.readuntil(b"1\r\na\r\n")
        await reader.readuntil(b"1\r\nb\r\n")
        writer.close()
        await until(lambda: bool(closed) and unit.drained)
        shot = unit.snapshot()
        assert (shot.failed, dict(shot.codes)) == (0, {499: 1})

    serve(scenario)
    assert not ended


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_fails_is_kept_and_never_taken_for_whole(begun):
    async def pieces():
        if begun:
            yield "a"
        msg = "no more"
        raise ValueError(msg)

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        if begun:
            with pytest.raises(aiohttp.ClientError):
                await site.get()
        else:
            reply = await site.get()
            assert (reply.status, reply.detail) == (500, "Internal Server Error")
        assert unit.snapshot().failed == 1
        assert "no more" in unit.ledger.failures[0].error

    serve(scenario)


def test_head_of_a_stream_gives_no_piece():
    taken = []

    async def pieces():
        taken.append(1)
        yield "a"

    async def scenario(site: Site):
        await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        reply = await site.ask("HEAD")
        assert (reply.status, reply.body, taken) == (200, b"", [])

    serve(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_background_work_runs_after_the_answer_and_is_waited_for(stream):
    done, may = [], threading.Event()

    def wait():
        assert may.wait(20)
        done.append("sync")

    async def note():
        done.append("async")

    def make():
        work = BackgroundTasks([BackgroundTask(wait)])
        work.add_task(note)
        return (
            StreamingResponse(iter("ab"), background=work)
            if stream
            else Response("ab", background=work)
        )

    async def scenario(site: Site):
        unit = await site.endpoint(returning(make), method="GET")
        assert (await site.get()).body == b"ab"
        assert done == []
        assert not unit.drained
        stopping = asyncio.create_task(unit.stop(drain=True, timeout_s=20.0))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        may.set()
        await stopping
        assert done == ["sync", "async"]

    serve(scenario)


def test_an_error_of_background_work_is_logged_and_ends_it():
    def fail():
        msg = "cannot mail"
        raise ValueError(msg)

    def make():
        return Response("a", background=BackgroundTasks([BackgroundTask(fail)]))

    async def scenario(site: Site):
        unit = await site.endpoint(returning(make), method="GET")
        assert (await site.get()).status == 200
        await until(lambda: unit.drained)
        assert unit.snapshot().failed == 0
        lines = [line.text for line in unit.ledger.log.lines()]
        assert any(
            "background work of endpoint 'give': ValueError: cannot mail" in x for x in lines
        )

    serve(scenario)


def test_a_stream_takes_no_place_of_those_that_run():
    async def pieces():
        yield "a"
        await asyncio.Event().wait()

    async def scenario(site: Site):
        unit = await site.endpoint(
            returning(lambda: StreamingResponse(pieces())), method="GET", max_concurrent_queries=1
        )
        open_ = [await opened(site, GET) for _ in range(5)]
        for reader, _ in open_:
            await reader.readuntil(b"1\r\na\r\n")
        began = SYSTEM.now()
        await unit.stop(drain=True, timeout_s=0.1)
        assert SYSTEM.now() - began < 10
        for _, writer in open_:
            writer.close()

    serve(scenario)


def test_a_stream_has_ended_when_its_request_has():
    """Also where the client leaves while a piece is on its way, and the end takes its time."""
    closed = []

    async def pieces():
        try:
            while True:
                yield b"x" * 65_536
        finally:
            await asyncio.sleep(0.05)
            closed.append(1)

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        reader, writer = await opened(site, GET)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        await until(lambda: unit.drained)
        assert closed == [1]

    serve(scenario)


def test_an_old_client_does_not_take_half_an_answer_for_a_whole_one():
    """To HTTP/1.0, the end of the connection is the end of the answer, unless it is reset."""

    async def pieces():
        yield "a"
        raise ValueError

    async def scenario(site: Site):
        await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        with pytest.raises(ConnectionResetError):
            await site.raw(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n")

    serve(scenario)


def test_code_is_torn_down_when_its_last_stream_has_ended():
    told, goes_on = [], asyncio.Event()

    class Old:
        def process(self) -> StreamingResponse:
            return StreamingResponse(self.pieces())

        async def pieces(self):
            yield "old"
            await goes_on.wait()
            told.append("last piece")
            yield "!"

        def teardown(self) -> None:
            told.append("teardown")

    async def new() -> str:
        return "new"

    async def scenario(site: Site):
        Old.__name__ = new.__name__ = "code"
        unit = await site.endpoint(Old, method="GET")
        reader, writer = await opened(site, GET)
        await reader.readuntil(b"old\r\n")
        assert await unit.swap(site.spec(new, "/x", "GET"))
        assert (await site.get()).json == "new"
        assert told == []
        goes_on.set()
        await until(lambda: len(told) == 2)
        writer.close()

    serve(scenario)
    assert told == ["last piece", "teardown"]


def test_nobody_is_left_once_those_inside_and_those_that_stay_have_gone():
    async def scenario():
        limit = ConcurrencyLimit(2)
        await limit.enter()
        await limit.enter()
        with limit.aside():
            assert (limit.inside, limit.later, limit.open) == (1, 1, True)
            empty = asyncio.create_task(limit.emptied())
            await asyncio.sleep(0)
            limit.leave()
            for _ in range(5):  # turns of the loop until it would be told
                await asyncio.sleep(0)
            assert not empty.done()
        limit.leave()
        await empty
        assert (limit.inside, limit.later) == (0, 0)

    asyncio.run(scenario())


def test_answers_that_are_being_sent_are_bounded(monkeypatch):
    monkeypatch.setattr(concurrency_limit, "LATER", 1)

    async def pieces():
        yield "a"
        await asyncio.Event().wait()

    async def scenario(site: Site):
        await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        reader, writer = await opened(site, GET)
        await reader.readuntil(b"1\r\na\r\n")
        reply = await site.get()
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        writer.close()

    serve(scenario)
