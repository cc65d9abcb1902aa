"""A body, and routes of every kind that take it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from tests.fakes import FakeSink
from tests.runtime.http.site import Site, until

PLAIN = b'{"id":7,"note":"' + b"n" * 3_000 + b'"}'


@dataclass
class Order:
    id: int
    note: str = ""


async def take(order: Order) -> int:
    return order.id


async def raw(body: bytes) -> int:
    return Order(7).id if body == PLAIN else len(body)


async def whole(request: web.Request) -> int:
    return int((await request.json())["id"])


async def streamed(request: web.Request) -> int:
    found = b"".join([piece async for piece in request.content.iter_any()])
    return 7 if found == PLAIN else len(found)


async def both(request: web.Request, order: Order) -> int:
    return order.id if await request.read() == PLAIN else -1


async def keep(order: Order) -> Order:
    return order


async def mount(site: Site, kind: str):
    """A route of that kind at POST /x."""
    if kind == "collector":
        return await site.collector(keep, FakeSink(), "/x")
    if kind == "service":
        return await site.start(site.spec(take, "/x", base="/shop"))
    functions: dict[str, Callable[..., Any]] = {
        "endpoint": take,
        "bytes": raw,
        "request": whole,
        "stream": streamed,
        "both": both,
    }
    return await site.endpoint(functions[kind])


KINDS = ["endpoint", "bytes", "request", "stream", "both", "collector", "service"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def zipped(data: bytes) -> bytes:
    """Without the time: names of tests hold it, and are the same in every process."""
    return gzip.compress(data, mtime=0)


PACKED = zipped(PLAIN)


async def chunks(data: bytes):
    """The same in several chunks."""
    for at in range(0, len(data), max(len(data) // 3, 1)):
        yield data[at : at + max(len(data) // 3, 1)]


ROOM = 100_000  # bytes that all requests of these tests may hold together


async def open_body(site: Site, sent: int, length: int = ROOM, path: bytes = b"/x"):
    """Send the beginning of a body; gives what ends it."""
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"Host: 127.0.0.1\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % length
    before = site.held
    writer.write(b"POST %s HTTP/1.1\r\n" % path + head + b" " * sent)
    await until(lambda: site.held - before == sent)
    return reader, writer


GZIP = {"Content-Encoding": "gzip"}


async def boom(order: Order) -> int:
    raise ValueError


async def refuse(order: Order) -> int:
    raise web.HTTPConflict


def seen(unit) -> int:
    """How many requests have come."""
    shot = unit.snapshot()
    return shot.in_flight + sum(count for _, count in shot.codes)


async def begin(site: Site, kind: str, unit, head: bytes, sent: bytes):
    """Send the beginning of a request, and wait until it is seen."""
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    before = seen(unit)
    path = b"/shop/x" if kind == "service" else b"/x"
    writer.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path + head + b"\r\n" + sent)
    await until(lambda: seen(unit) > before)
    return reader, writer
