"""The page of its own: who is let in, what it is told, and what its clicks do."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.page import server as server_module
from buildflow_nb.cockpit.page import viewer as viewer_module
from buildflow_nb.cockpit.panel.picture import Picture
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
    return link.partition("/#")[0]


def token_of(link):
    return link.partition("#")[2]


def asked(link, path="/", headers=None):
    """Status, text and headers of an answer."""

    async def ask():
        url = base_of(link) + path
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers

    return asyncio.run(ask())


def test_the_page_holds_no_secret_and_stands_in_no_frame(link):
    status, text, headers = asked(link)
    assert status == 200
    assert token_of(link) not in text
    assert "Set-Cookie" not in headers  # which all ports of this machine would be sent
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    for script in ("/page.js", "/view.js"):
        assert token_of(link) not in asked(link, script)[1]


@asynccontextmanager
async def socket_of(link, token=None, origin=None):
    async with aiohttp.ClientSession() as session:
        made = await session.ws_connect(
            base_of(link) + "/socket",
            headers={"Origin": base_of(link) if origin is None else origin},
            timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
        )
        await made.send_str(token_of(link) if token is None else token)
        yield made
        await made.close()


@pytest.mark.parametrize("token", ["", "wrong", "\N{LATIN SMALL LETTER E WITH ACUTE}", "{}"])
def test_nobody_is_told_anything_without_the_token(link, token):
    async def knock():
        async with socket_of(link, token) as socket:
            message = await socket.receive(DEADLINE_S)
            return message.type, socket.close_code

    assert asyncio.run(knock()) == (aiohttp.WSMsgType.CLOSE, server_module.REFUSED)


def test_a_page_that_says_nothing_is_let_go_of(link, monkeypatch):
    monkeypatch.setattr(server_module, "KNOCK_S", 0.1)

    async def wait():
        async with aiohttp.ClientSession() as session:
            headers = {"Origin": base_of(link)}
            async with session.ws_connect(base_of(link) + "/socket", headers=headers) as socket:
                await socket.receive(DEADLINE_S)
                return socket.close_code

    assert asyncio.run(wait()) == server_module.REFUSED


def test_the_token_is_in_nothing_that_is_printed(cockpit, link):
    assert token_of(link) not in repr(vars(cockpit._page))
    assert token_of(link) not in cockpit.open()._repr_html_().replace(link, "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_strange_names_and_pages_are_refused(link, headers):
    assert asked(link, "/", headers)[0] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://127.0.0.1:1",
        "http://localhost:8888",
        "http://[::1]:5",
        "https://127.0.0.1",
        "http://evil.localhost",
    ],
)
def test_a_page_of_any_other_port_opens_no_socket_also_with_the_token(link, origin):
    async def knock():
        async with socket_of(link, origin=origin):
            pass

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        asyncio.run(knock())
    assert caught.value.status == 403


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
        async with AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(socket_of(link)) for _ in range(count)]
            pages = [Page(socket) for socket in sockets]
            for page in pages:
                await page.until(lambda p: "rows/price" in p.parts)
            await work(*pages)

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
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with socket_of(link):
                pass
        assert caught.value.status == 503
        await page.act("select", "price")
        await page.until(lambda p: "drawer/head" in p.parts)

    with_pages(link, work)


def test_a_page_that_reads_nothing_is_let_go_of(link, cockpit, monkeypatch):
    monkeypatch.setattr(viewer_module, "SEND_S", 0.2)
    pictures = iter(range(10_000))

    async def work(page):
        large = lambda _: Picture("label", {"head": f"{next(pictures)} {'x' * 2_000_000}"})  # noqa: E731
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
        asked(link)
