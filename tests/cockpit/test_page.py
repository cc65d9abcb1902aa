"""The page of its own: who is let in, what it is told, and what its clicks do."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.page import server as server_module
from buildflow_nb.cockpit.page import viewer as viewer_module
from buildflow_nb.core.errors import ServeError, UsageError
from buildflow_nb.io.local import Empty, Pulse
from tests.notebook.shots import fake_flow

DEADLINE_S = 10.0


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = fake_flow()

    @made.consumer(Pulse([1], 1), Empty())
    def price(x: int) -> int:
        return x

    return made


@pytest.fixture
def cockpit(flow):
    made = Cockpit(lambda: flow, lambda: None)
    yield made
    made.close()


@pytest.fixture
def link(cockpit):
    return cockpit.open().url


def base_of(link):
    return link.partition("/?")[0]


@asynccontextmanager
async def browser(link=None):
    """A browser that has followed the link, if there is one."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        if link is not None:
            async with session.get(link) as answer:
                assert answer.status == 200
        yield session


def asked(link, path="/", headers=None, token=None, followed=True):
    """Status, text and address of an answer."""

    async def ask():
        async with browser(link if followed else None) as session:
            params = {} if token is None else {"token": token}
            async with session.get(base_of(link) + path, headers=headers, params=params) as answer:
                return answer.status, await answer.text(), answer

    return asyncio.run(ask())


def test_the_link_opens_the_page_and_the_token_stays_in_no_address(link):
    async def follow():
        async with browser() as session, session.get(link) as answer:
            return str(answer.url), answer.headers, session.cookie_jar

    url, headers, jar = asyncio.run(follow())
    assert url == base_of(link) + "/"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    (cookie,) = jar
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"


@pytest.mark.parametrize("path", ["/", "/socket", "/view.js", "/page.js"])
@pytest.mark.parametrize("token", [None, "", "wrong", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_nobody_is_let_in_without_the_token(link, path, token):
    status, text, _ = asked(link, path, token=token, followed=False)
    assert status == 403
    assert "needs the link" in text


def test_the_token_is_in_nothing_that_is_printed(cockpit, link):
    token = link.partition("token=")[2]
    assert token not in repr(vars(cockpit._page))
    assert token not in cockpit.open()._repr_html_().replace(link, "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_strange_names_and_pages_are_refused_also_with_the_cookie(link, headers):
    assert asked(link, "/", headers)[0] == 403


def test_a_socket_of_another_origin_or_of_none_is_refused(link):
    async def opened(headers):
        async with browser(link) as session:
            try:
                async with session.ws_connect(base_of(link) + "/socket", headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    for headers in ({}, {"Origin": "http://evil.example"}):
        assert asyncio.run(opened(headers)) == 403
    assert asyncio.run(opened({"Origin": base_of(link)})) == 101


class Page:
    """What a page is told, and what it shows of that."""

    def __init__(self, socket):
        self.socket, self.parts, self.order, self.messages = socket, {}, [], []

    async def hear(self):
        message = json.loads((await self.socket.receive(DEADLINE_S)).data)
        self.messages.append(message)
        self.parts |= message.get("put", {})
        self.order = message.get("order", self.order)
        return message

    async def until(self, true):
        async with asyncio.timeout(DEADLINE_S):
            while not true(self):
                await self.hear()

    async def act(self, act, arg="", value="", **fields):
        await self.socket.send_json({"act": act, "arg": arg, "value": value, "fields": fields})


def with_pages(link, work, count=1):
    async def run():
        async with browser(link) as session:
            sockets = [
                await session.ws_connect(
                    base_of(link) + "/socket",
                    headers={"Origin": base_of(link)},
                    timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
                )
                for _ in range(count)
            ]
            pages = [Page(socket) for socket in sockets]
            for page in pages:
                await page.until(lambda p: "rows/price" in p.parts)
            await work(*pages)
            for socket in sockets:
                await socket.close()

    asyncio.run(run())


def test_a_page_is_told_everything_once_and_then_what_is_new(flow, link):
    async def work(page):
        assert {"head", "health", "graph", "table", "rows/price", "foot"} <= set(page.parts)
        assert page.order == list(page.messages[0]["put"])
        flow.put(in_per_s=777_777)
        message = await page.hear()
        assert "777,777" in message["put"]["rows/price"]
        assert not {"table", "rows/worst"} & set(message["put"])

    with_pages(link, work)


def test_what_a_page_has_opened_is_its_own_and_what_it_clicks_is_everybodys(cockpit, link):
    lines = []
    cockpit.clicks.handlers["check"] = lambda _: lines.append("check") or "looked"

    async def work(one, other):
        await one.act("select", "price")
        await one.until(lambda p: "drawer/head" in p.parts)
        await one.act("do", "%buildflow check")
        await other.until(lambda p: "looked" in p.parts.get("health", ""))
        assert "drawer/head" not in other.parts
        assert lines == ["check"]

    with_pages(link, work, count=2)


def test_what_is_no_click_changes_nothing(link):
    async def work(page):
        for text in ("", "{", "[]", '{"act": 3}', '{"act": "do", "arg": "import os"}', "[" * 9_999):
            await page.socket.send_str(text)
        await page.act("select", "price")
        await page.until(lambda p: "drawer/head" in p.parts)

    with_pages(link, work)


@pytest.mark.parametrize(
    ("error", "said"),
    [(UsageError("app is <gone>"), "app is &lt;gone&gt;"), (TimeoutError(), "loop")],
)
def test_a_flow_that_is_gone_or_does_not_answer_is_said_and_the_rest_stays(flow, link, error, said):
    def fail(_timeout):
        raise error

    async def work(page):
        flow.snapshot = fail
        await page.until(lambda p: said in p.parts["health"])
        assert "rows/price" in page.parts

    with_pages(link, work)


def test_more_pages_than_can_be_served_are_refused_and_the_others_go_on(link, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_PAGES", 1)

    async def work(page):
        async with browser(link) as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(
                    base_of(link) + "/socket",
                    headers={"Origin": base_of(link)},
                    timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
                )
        assert caught.value.status == 503
        await page.act("select", "price")
        await page.until(lambda p: "drawer/head" in p.parts)

    with_pages(link, work)


def test_a_page_that_reads_nothing_is_let_go_of(link, cockpit, monkeypatch):
    monkeypatch.setattr(viewer_module, "SEND_S", 0.2)
    pictures = iter(range(10_000))

    async def work(page):
        large = lambda _: ("label", {"head": f"{next(pictures)} {'x' * 2_000_000}"}, 0.0)  # noqa: E731
        monkeypatch.setattr(viewer_module.Viewer, "_picture", large)
        page.socket._conn.transport.pause_reading()
        async with asyncio.timeout(DEADLINE_S):
            while cockpit._page._open:
                cockpit.changed()
                await asyncio.sleep(0.02)

    with_pages(link, work)


def test_a_port_that_is_taken_is_said(cockpit, link, flow):
    port = int(base_of(link).rpartition(":")[2])
    other = Cockpit(lambda: flow, lambda: None)
    with pytest.raises(ServeError, match=f"127.0.0.1:{port}"):
        other.open(port)
    assert other.open().url  # and another port can be asked for
    other.close()


def test_a_page_is_gone_with_its_program(cockpit, link):
    cockpit.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        asked(link, followed=False)
