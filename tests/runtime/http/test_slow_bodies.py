"""Clients that begin a body and send nothing more: they are given up, and keep nobody out."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from buildflow_nb.requests import Form, Request
from buildflow_nb.runtime.http import body_stream, concurrency_limit
from buildflow_nb.runtime.http import request as request_module
from tests.fakes import FakeSink
from tests.runtime.http.bodies import keep, take
from tests.runtime.http.site import Site, serve, until

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


async def body(request: Request) -> int:
    return len(await request.body())


async def parsed(request: Request) -> int:
    return len(await request.json())


async def form(request: Request) -> int:
    return len(await request.form())


async def stream(request: Request) -> int:
    return sum([len(piece) async for piece in request.stream()])


async def aiohttps(request: web.Request) -> int:
    return len(await request.read())


async def typed_form(a: str = Form()) -> int:
    return len(a)


READERS = [body, parsed, form, stream]


async def begin(site: Site, length: int = 9):
    """Send the head and one byte of a body."""
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % length
    writer.write(head + FORM + b"\r\n[")
    return reader, writer


@pytest.mark.parametrize("reads", READERS)
def test_who_waits_for_a_body_takes_no_place(reads):
    async def scenario(site: Site):
        unit = await site.endpoint(reads, "/x", max_concurrent_queries=1)
        slow = [await begin(site) for _ in range(15)]  # more than wait in line
        await until(lambda: unit.snapshot().in_flight == 15)
        assert (await site.post([1, 2, 3])).status == 200
        for reader, writer in slow:
            writer.write(b"1,2,3,4]")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await until(lambda: unit.snapshot().in_flight == 0)
        limit = unit._code.limit
        assert (limit.inside, limit.later, limit.reading) == (0, 0, 0)

    serve(scenario)


@pytest.mark.parametrize("reads", [*READERS, typed_form, take, aiohttps, "collector"])
def test_a_body_of_which_nothing_more_comes_is_given_up(reads, monkeypatch):
    for module in (body_stream, request_module):
        monkeypatch.setattr(module, "IDLE_S", 0.05)

    async def scenario(site: Site):
        if reads == "collector":
            unit = await site.collector(keep, FakeSink())
        else:
            unit = await site.endpoint(reads, "/x", max_concurrent_queries=1)
        reader, writer = await begin(site)
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"nothing of the body arrived for 0.05 s" in answer
        writer.close()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert unit._code.limit.inside == unit._code.limit.reading == 0

    serve(scenario)


def test_a_body_that_comes_steadily_has_its_own_time(monkeypatch):
    monkeypatch.setattr(request_module, "BODY_S", 0.05)

    async def scenario(site: Site):
        await site.endpoint(take)
        reader, writer = await begin(site, 10_000_000)
        asked = asyncio.create_task(reader.readuntil(b"}"))
        while not asked.done():
            writer.write(b" ")
            await asyncio.sleep(0)
        assert b"the body took too long to arrive" in await asked
        writer.close()

    serve(scenario)


def test_no_more_than_so_many_wait_for_bodies(monkeypatch):
    monkeypatch.setattr(concurrency_limit, "READING", 2)

    async def scenario(site: Site):
        unit = await site.endpoint(body, "/x")
        slow = [await begin(site) for _ in range(2)]
        await until(lambda: unit._code.limit.reading == 2)
        reader, writer = await begin(site)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 503 ")
        assert (await site.post([1])).status == 200
        for _, one in [*slow, (reader, writer)]:
            one.close()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert unit._code.limit.inside == unit._code.limit.reading == 0

    serve(scenario)
