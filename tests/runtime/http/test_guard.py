"""Who may call from where: every kind of route, and the runtime server, against one table."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from multidict import CIMultiDict

from tests.fakes import FakeSink
from tests.runtime.http.site import Site, controlled, serve

ELSEWHERE = "pages of other sites may not call this server"
TOKEN = "open sesame"  # noqa: S105  (of this test)
WRITE, GET_WRITE, READ, OPEN = "write", "write by GET", "read", "open"
ALL = {WRITE, GET_WRITE, READ, OPEN}
SOME = {READ, OPEN}
NONE: set[str] = set()


@dataclass(frozen=True)
class Kind:
    """A way to call; `does` is what it does, from the eyes of whoever owns this machine."""

    name: str
    method: str
    path: str
    does: str
    status: int = 200
    server: str = "routes"
    token: str | None = None


KINDS = [
    Kind("a collector", "POST", "/collect", WRITE),
    Kind("a collector by PUT", "PUT", "/collect", WRITE),
    Kind("a collector by GET", "GET", "/collect", GET_WRITE),
    Kind("a collector by HEAD", "HEAD", "/collect", GET_WRITE),
    Kind("a collector by GET, with a parameter", "GET", "/collect/7", GET_WRITE),
    Kind("an endpoint", "POST", "/ask", WRITE),
    Kind("an endpoint by DELETE", "DELETE", "/ask", WRITE),
    Kind("an endpoint by GET", "GET", "/ask", READ),
    Kind("an endpoint by HEAD", "HEAD", "/ask", READ),
    Kind("an endpoint with a query", "GET", "/ask?n=1", READ),
    Kind("an endpoint that takes the request", "GET", "/request", READ),
    Kind("a service's route", "POST", "/shop/ask", WRITE),
    Kind("a service's route by GET", "GET", "/shop/ask", READ),
    Kind("the docs", "GET", "/docs", OPEN),
    Kind("the way to the docs", "GET", "/", OPEN, 307),
    Kind("the document", "GET", "/openapi.json", OPEN),
    Kind("the health", "GET", "/healthz", OPEN),
    Kind("a preflight", "OPTIONS", "/docs", OPEN, 204),
    Kind("stop", "POST", "/runtime/stop", WRITE, server="control"),
    Kind("drain", "POST", "/runtime/drain", WRITE, server="control"),
    Kind("status", "GET", "/runtime/status", OPEN, server="control"),
    Kind("the run's page", "GET", "/", OPEN, server="control"),
    Kind("stop, with its token", "POST", "/runtime/stop", WRITE, server="tokens", token=TOKEN),
    Kind("stop, without one", "POST", "/runtime/stop", WRITE, 401, server="tokens"),
    Kind(
        "stop, with another", "POST", "/runtime/stop", WRITE, 401, server="tokens", token=TOKEN[1:]
    ),
]

CROSS = ("Sec-Fetch-Site", "cross-site")
LINK = (CROSS, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
ROWS = [
    # Not a browser.
    ((), ALL),
    # Host: a name of this machine, whoever says so.
    ((("Host", "localhost:1"),), ALL),
    ((("Host", "LOCALHOST."),), ALL),
    ((("Host", "app.localhost"),), ALL),
    ((("Host", "[::1]:80"),), ALL),
    ((("Host", "10.0.0.1"),), ALL),
    ((("Host", "203.0.113.5:80"),), ALL),
    ((("Host", "my.name"),), ALL),
    ((("Host", "evil.example"),), NONE),
    ((("Host", "localhost.evil.example"),), NONE),
    ((("Host", "127.0.0.1.evil.example"),), NONE),
    ((("Host", "127.0.0.1@evil.example"),), NONE),
    ((("Host", "evil.example@127.0.0.1"),), NONE),
    ((("Host", "evil.example#.localhost"),), NONE),
    ((("Host", "2130706433"),), NONE),
    ((("Host", "["),), NONE),
    # Origin: a loopback one.
    ((("Origin", "http://localhost:3000"),), ALL),
    ((("Origin", "https://localhost"),), ALL),
    ((("Origin", "HTTP://LOCALHOST:3000"),), ALL),
    ((("Origin", "http://localhost.:3000"),), ALL),
    ((("Origin", "http://app.localhost"),), ALL),
    ((("Origin", "http://127.0.0.1:8888"),), ALL),
    ((("Origin", "http://127.1.2.3"),), ALL),
    ((("Origin", "http://[::1]:3000"),), ALL),
    ((("Origin", "http://[::ffff:127.0.0.1]:3000"),), ALL),
    ((("Origin", "http://127.0.0.1:8888"), CROSS), ALL),
    # Origin: the server's own.
    ((("Origin", "http://10.0.0.1:8000"), ("Host", "10.0.0.1:8000")), ALL),
    ((("Origin", "http://10.0.0.1"), ("Host", "10.0.0.1:80")), ALL),
    ((("Origin", "https://10.0.0.1:443"), ("Host", "10.0.0.1")), ALL),
    ((("Origin", "https://my.name"),), ALL),
    ((("Origin", "http://10.0.0.1:8000"), ("Host", "10.0.0.1:9000")), NONE),
    ((("Origin", "http://10.0.0.1"), ("Host", "10.0.0.2")), NONE),
    # Origin: any other, an address too.
    ((("Origin", "http://203.0.113.5"),), NONE),
    ((("Origin", "http://10.0.0.1:8000"),), NONE),
    ((("Origin", "http://[2001:db8::1]"),), NONE),
    ((("Origin", "http://[::ffff:10.0.0.1]"),), NONE),
    ((("Origin", "http://0.0.0.0:8000"),), NONE),
    ((("Origin", "https://evil.example"),), NONE),
    ((("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")), NONE),
    ((("Origin", "http://127.0.0.1.evil.example"),), NONE),
    ((("Origin", "http://localhost.evil"),), NONE),
    ((("Origin", "http://evillocalhost"),), NONE),
    ((("Origin", "http://my.name.evil"),), NONE),
    ((("Origin", "http://localhost@evil.example"),), NONE),
    ((("Origin", "http://evil.example@localhost"),), NONE),
    ((("Origin", "http://evil.example\\@localhost"),), NONE),
    ((("Origin", "http://localhost:3000/"),), NONE),
    ((("Origin", "http://evil.example#http://localhost"),), NONE),
    ((("Origin", "http://2130706433"),), NONE),
    ((("Origin", "http://0x7f000001"),), NONE),
    ((("Origin", "http://0177.0.0.1"),), NONE),
    ((("Origin", "http://127.1"),), NONE),
    ((("Origin", "http://[::1%25lo]"),), NONE),
    ((("Origin", "file://localhost"),), NONE),
    ((("Origin", "chrome-extension://localhost"),), NONE),
    ((("Origin", "localhost"),), NONE),
    ((("Origin", "null"),), NONE),
    ((("Origin", ""),), NONE),
    ((("Origin", "http://localhost"), ("Origin", "https://evil.example")), NONE),
    ((("Origin", "https://evil.example"), ("Origin", "http://localhost")), NONE),
    ((("Origin", "http://localhost, https://evil.example"),), NONE),
    # No Origin, but the browser says that the page is of another site.
    ((CROSS,), {OPEN}),
    ((CROSS, ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")), {OPEN}),
    ((CROSS, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")), {OPEN}),
    ((CROSS, CROSS), {OPEN}),
    ((("Sec-Fetch-Site", "Cross-Site"),), {OPEN}),
    ((CROSS, ("Sec-Fetch-Site", "same-origin")), {OPEN}),
    (LINK, SOME),
    ((CROSS, ("Referer", "http://localhost:8888/lab?x=1")), SOME),
    ((CROSS, ("Referer", "http://[::1]:8888/")), SOME),
    ((CROSS, ("Referer", "https://evil.example/http://localhost/")), {OPEN}),
    ((CROSS, ("Referer", "http://203.0.113.5/")), {OPEN}),
    ((("Sec-Fetch-Site", "same-origin"),), ALL),
    ((("Sec-Fetch-Site", "same-site"),), ALL),
    ((("Sec-Fetch-Site", "none"),), ALL),
    ((("Sec-Fetch-Site", "same-site"), ("Host", "10.0.0.1:8000")), {OPEN}),
    ((("Sec-Fetch-Site", "same-site"), ("Host", "my.name")), {OPEN}),
    # An old browser, which says less.
    ((("Referer", "https://evil.example/"),), SOME),
    ((("Referer", "http://203.0.113.5:8000/x"),), SOME),
    ((("Referer", "http://localhost@evil.example/"),), SOME),
    ((("Referer", "https://evil.example"), ("Referer", "http://localhost/")), SOME),
    ((("Referer", "about:blank"),), SOME),
    ((("Referer", "http://127.0.0.1:8888/"),), ALL),
    ((("Referer", "http://localhost:8888/lab?x=1"),), ALL),
    ((("Referer", "http://10.0.0.1:8000/docs"), ("Host", "10.0.0.1:8000")), ALL),
    ((("Referer", "https://evil.example/"), ("Origin", "http://localhost:3000")), ALL),
    ((("Referer", "https://evil.example/"), ("Sec-Fetch-Site", "same-origin")), ALL),
]


def noting(reached: list[object], name: str):
    """A function of that name which takes the request, and notes that it was reached."""

    async def note(request: web.Request) -> int:
        reached.append(request.method)
        return 1

    note.__name__ = note.__qualname__ = name
    return note


async def every_route(site: Site, reached: list[object]) -> None:
    """Serve what `KINDS` ask for."""

    async def collect_one(n: int) -> int:
        reached.append(n)
        return n

    async def ask_in_short(n: int = 0) -> int:
        reached.append(n)
        return n

    for method in ("POST", "PUT", "GET"):
        await site.collector(noting(reached, f"c_{method}"), FakeSink(), "/collect", method)
    await site.collector(collect_one, FakeSink(), "/collect/{n}", "GET")
    for method in ("POST", "DELETE"):
        await site.endpoint(noting(reached, f"e_{method}"), "/ask", method)
    await site.endpoint(ask_in_short, "/ask", "GET")
    await site.endpoint(noting(reached, "whole"), "/request", "GET")
    for method in ("POST", "GET"):
        await site.start(site.spec(noting(reached, f"s_{method}"), "/ask", method, base="/shop"))


@asynccontextmanager
async def reachable(site: Site, kind: Kind):
    """What notes that it was reached, and the address of the server that is called."""
    if kind.server == "routes":
        reached: list[object] = []
        await every_route(site, reached)
        yield reached, ""
    else:
        async with controlled(TOKEN if kind.server == "tokens" else None) as (run, address):
            yield run.ended, address


def expected(kind: Kind, headers, passes) -> tuple[int, bool]:
    """The status, and whether anything is reached."""
    if kind.server != "routes" and any("my.name" in value for _, value in headers):
        return 403, False  # it has no other names
    if kind.does not in passes:
        return 403, False
    return kind.status, kind.does is not OPEN and kind.status == 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_who_may_call_from_where(kind):
    async def scenario(site: Site):
        token = () if kind.token is None else (("Authorization", f"Bearer {kind.token}"),)
        async with reachable(site, kind) as (reached, address):
            for headers, passes in ROWS:
                reached.clear()
                sent = CIMultiDict((*headers, *token))
                reply = await site.ask(kind.method, address + kind.path, headers=sent)
                await asyncio.sleep(0)  # a run is ended beside the answer
                found = reply.status, bool(reached)
                assert found == expected(kind, headers, passes), headers
                named = any(name == "Host" for name, _ in headers)
                if reply.status == 403 and reply.body and not named:
                    assert reply.detail == ELSEWHERE

    serve(scenario, allowed_hosts=["my.name"])
