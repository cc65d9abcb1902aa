"""Strangers at an HTTP server and at a run's: whatever they send, it goes on, in bounds.

Beside the strangers one client sends numbers to a collector, which all must arrive, once. What must
never happen: an answer of 5xx (but 503, when too much is held), anything logged, a body that a
route sees in another form than it was sent, bytes that stay counted, and an unpacking that holds up
the loop, which is told by the turns that others had meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import aiohttp
from aiohttp import web

from buildflow_nb.runtime.http import request as requests
from buildflow_nb.runtime.http.encoding import PIECE, unpacked_pieces
from tests.fakes import FakeSink
from tests.faults.ground import Ground
from tests.faults.heads import Attempt, attempt
from tests.faults.tally import Tally
from tests.runtime.http.site import Site, controlled, serve

__all__ = ("strangers",)

AT_ONCE = 16
GOOD = "of no stranger"
ROOM = 32 * 2**20  # bytes that all requests may hold: so few that they have to be turned away
QUIET_S = 0.05  # that a stranger waits for an answer; some requests ask for none
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_MARK = re.compile(rb"^<(\d+)>")


@dataclass
class Order:
    id: int
    note: str = ""


@dataclass
class Watch:
    """What is seen while strangers call."""

    attempts: list[Attempt]
    wrong: list[str] = field(default_factory=list)
    turns: int = 0

    def see(self, body: bytes) -> None:
        """Compare what a route was given with what was sent."""
        mark = _MARK.match(body)
        one = self.attempts[int(mark[1])] if mark else None
        if one is not None and one.sure and body != one.body:
            self.wrong.append(f"{body[:60]!r} was taken of {one.pieces[0][:200]!r}")

    def unpack(self, packed: bytes, coding: str) -> Iterator[bytes]:
        """As the server does, counted."""
        for piece in unpacked_pieces(packed, coding):
            before = self.turns
            if len(piece) > PIECE:
                self.wrong.append(f"a piece of {len(piece)} bytes")
            yield piece
            if self.turns == before:
                self.wrong.append("nobody had a turn between two pieces")

    async def beat(self) -> None:
        """Count the loop's turns."""
        while True:
            self.turns += 1
            await asyncio.sleep(0)


class Ears(logging.Handler):
    """Whatever is logged is wrong."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.INFO)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self._wrong.append(f"logged: {record.name}: {record.getMessage()} {cause!r}")


def strangers(count: int, ground: Ground) -> Tally:
    """So many odd requests, half of them to a run's own server; one good one for each eight."""
    attempts = [attempt(ground.rng, b"<%d>" % n) for n in range(count)]
    watch, sink = Watch(attempts), FakeSink()
    numbers = range(max(count // 8, 1))

    async def scenario(site: Site) -> None:
        await _every_route(site, watch, sink)
        beating = asyncio.create_task(watch.beat())
        async with controlled("open sesame") as (_, runtime):
            queue = list(enumerate(attempts))
            addresses = (str(site.server.address), runtime)
            callers = [_call_all(queue, addresses, watch) for _ in range(AT_ONCE)]
            await asyncio.gather(*callers, _send_good(site, numbers, watch))
        beating.cancel()
        if (await site.get("/healthz")).status != 200:
            watch.wrong.append("it is not well afterwards")
        await _emptied(site, watch)

    with _listening(watch):
        serve(scenario, patience_s=None, body_bytes=ROOM)
    wrong = "; ".join(watch.wrong[:5])
    found = [order.id for order in sink.tape.pushed if order.note == GOOD]
    return Tally.of("strangers over HTTP", count, numbers, found, allowed=0, wrong=wrong)


async def _every_route(site: Site, watch: Watch, sink: FakeSink) -> None:
    async def raw(body: bytes) -> int:
        watch.see(body)
        return len(body)

    async def order(order: Order) -> Order:
        return order

    async def collect(order: Order) -> Order:
        return order

    async def whole(request: web.Request) -> str:
        watch.see(await request.read())
        return request.method

    async def stream(request: web.Request) -> int:
        pieces = [piece async for piece in request.content.iter_any()]
        watch.see(b"".join(pieces))
        return len(pieces)

    async def number(n: int) -> int:
        return n

    await site.endpoint(raw, "/raw")
    await site.endpoint(order, "/order")
    await site.collector(collect, sink, "/collect", "POST")
    await site.endpoint(whole, "/request")
    await site.endpoint(stream, "/stream")
    await site.endpoint(number, "/number/{n}", "GET")


@contextmanager
def _listening(watch: Watch) -> Iterator[None]:
    """Hear what is logged, and count what is unpacked."""
    ears = Ears(watch.wrong)
    loggers = [logging.getLogger(name) for name in ("aiohttp", "asyncio", "buildflow_nb")]
    for logger in loggers:
        logger.addHandler(ears)
    try:
        with mock.patch.object(requests, "unpacked_pieces", watch.unpack):
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(ears)


async def _call_all(
    queue: list[tuple[int, Attempt]], addresses: tuple[str, str], watch: Watch
) -> None:
    while queue:
        number, one = queue.pop()
        address = addresses[0 if number % 4 else 1]
        answer = await _call(address, one)
        for status in _STATUS.findall(answer):
            meant = status == b"503" and b"Retry-After: 1" in answer
            if status.startswith(b"5") and not meant:
                watch.wrong.append(f"{status.decode()} to {one.pieces[0][:80]!r}")


async def _call(address: str, one: Attempt) -> bytes:
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    with suppress(OSError, TimeoutError):  # it may close before it has heard all of it
        for piece in one.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        while not one.leaves:
            async with asyncio.timeout(QUIET_S):
                found = await reader.read(65_536)
            answer += found
            if not found:
                break
    writer.transport.abort()
    return answer


async def _send_good(site: Site, numbers: range, watch: Watch) -> None:
    for n in numbers:
        status: Any = None
        while status not in (200, "gave up"):
            with suppress(aiohttp.ClientError):
                status = (await site.post({"id": n, "note": GOOD}, "/collect")).status
            if status not in (200, 503):
                watch.wrong.append(f"{status} to a good request")
                status = "gave up"


async def _emptied(site: Site, watch: Watch) -> None:
    """Wait until the last stranger's leaving is noticed."""
    try:
        async with asyncio.timeout(15.0):
            while site.held or any(unit.snapshot().in_flight for unit in site.routes):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        watch.wrong.append(f"{site.held} bytes are still held")
