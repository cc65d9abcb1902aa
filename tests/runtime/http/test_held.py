"""The bytes that all bodies hold together: bounded, and free again however a request ends."""

from __future__ import annotations

import io

import pytest
from aiohttp import web

from buildflow_nb.runtime.http.request import BODY_LIMIT
from tests.runtime.http.bodies import (
    GZIP,
    PACKED,
    PLAIN,
    ROOM,
    begin,
    boom,
    chunks,
    mount,
    open_body,
    raw,
    refuse,
    take,
    whole,
    zipped,
)
from tests.runtime.http.site import Site, serve, until


@pytest.mark.parametrize("kind", ["endpoint", "bytes", "request", "both", "collector"])
def test_all_bodies_together_are_bounded(kind):
    async def scenario(site: Site):
        await mount(site, kind)
        length = ROOM - 10_000
        first, writer = await open_body(site, length - len(PLAIN), length)
        busy = [
            await site.ask("POST", data=b" " * 14_000),
            await site.ask("POST", data=chunks(b" " * 14_000)),
            await site.ask("POST", data=zipped(b" " * 60_000), headers=GZIP),
        ]
        for reply in busy:
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert reply.detail.startswith("busy: requests hold ")
        assert (await site.ask("POST", data=PLAIN)).status == 200  # a small one has room
        writer.write(PLAIN)
        answer = await first.read()
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        writer.close()
        await writer.wait_closed()
        assert site.held == 0
        assert (await site.ask("POST", data=b" " * 60_000 + PLAIN)).status == 200

    serve(scenario, body_bytes=ROOM)


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (b"Content-Length: %d\r\n" % (ROOM + 1), b""),  # it is said to be too long
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n" % (9 * ROOM) + bytes(2 * ROOM)),
    ],
)
def test_who_is_turned_away_holds_nothing_while_it_goes_on_sending(head, sent):
    async def scenario(site: Site):
        unit = await mount(site, "bytes")
        reader, writer = await begin(site, "bytes", unit, head, b"")
        writer.write(sent[: ROOM // 2])
        await until(lambda: site.held > 0 or not sent)
        writer.write(sent[ROOM // 2 :])
        answer = await reader.readuntil(b"\r\n\r\n")  # of a body that has not ended
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert site.held == 0
        writer.close()
        await writer.wait_closed()

    serve(scenario, body_bytes=ROOM)


@pytest.mark.parametrize(
    ("function", "sent", "headers", "status"),
    [
        (take, PLAIN, {}, 200),
        (take, PLAIN * 5, {}, 422),
        (take, b"[" * 5_000, {}, 422),
        (take, PLAIN, {"Content-Type": "text/plain; charset=nope"}, 415),
        (take, PLAIN, {"Content-Encoding": "nope"}, 415),
        (take, PACKED[:-1], GZIP, 400),
        (take, zipped(PLAIN * 20), GZIP, 422),
        (boom, PLAIN, {}, 500),
        (refuse, PLAIN, {}, 409),
        (raw, bytes(BODY_LIMIT + 1), {}, 413),
        (raw, zipped(bytes(BODY_LIMIT + 1)), GZIP, 413),
        (whole, PLAIN, {}, 200),
        (whole, zipped(PLAIN), GZIP, 200),
        (whole, b"no json", {}, 500),
    ],
)
def test_what_a_request_held_is_free_once_it_is_answered(function, sent, headers, status):
    async def scenario(site: Site):
        await site.endpoint(function)
        for data in (io.BytesIO(sent), chunks(sent)):
            assert (await site.ask("POST", data=data, headers=headers)).status == status
            assert site.held == 0

    serve(scenario)


def test_a_stop_frees_what_its_requests_held():
    async def scenario(site: Site):
        unit = await site.endpoint(take)
        reader, writer = await open_body(site, 5_000)
        await unit.stop(drain=False, timeout_s=1.0)
        assert site.held == 0
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
        writer.close()
        await writer.wait_closed()

    serve(scenario)


def test_a_clone_of_the_request_is_counted_and_freed_with_it():
    held = []

    async def cloned(request: web.Request) -> int:
        body = await request.clone(method="PUT").read()
        held.append(request.held)  # type: ignore[attr-defined]
        return len(body)

    async def scenario(site: Site):
        await site.endpoint(cloned)
        reply = await site.ask("POST", data=chunks(PLAIN))
        assert (reply.json, held) == (len(PLAIN), [len(PLAIN)])
        assert site.held == 0

    serve(scenario)
