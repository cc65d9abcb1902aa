"""WebSockets through middleware: what it adds to the scope, what it denies, what it never sees."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from buildflow_nb.middleware import GZipMiddleware, SessionMiddleware, TrustedHostMiddleware
from buildflow_nb.requests import Request, WebSocket
from buildflow_nb.responses import PlainTextResponse
from tests.runtime.http.site import serve
from tests.runtime.http.test_middleware import Based, Marking, declared, marking
from tests.runtime.http.test_websocket import connect, denied, mount

KEY = "a key of sixteen characters"


async def echo(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {getattr(websocket.state, 'marks', [])}")


class Denying:
    """Denies in one of the ways that ASGI has."""

    def __init__(self, app, how):
        self.app, self.how = app, how

    async def __call__(self, scope, receive, send):
        if self.how == "close":
            await receive()
            await send({"type": "websocket.close", "reason": "not you"})
        elif self.how == "answer":
            await PlainTextResponse("pay first", 402, {"X-Why": "1"})(scope, receive, send)
        elif self.how == "accept":
            await send({"type": "websocket.accept"})
        elif self.how == "raise":
            raise KeyError


def test_a_class_may_add_to_the_scope_and_functions_let_it_pass():
    chain = ((Marking, {"word": "a"}), marking("b"), (Based, {"word": "c"}), GZipMiddleware)

    async def scenario(site):
        await mount(site, echo)
        async with connect(site) as socket:
            for text in ("one", "two"):
                await socket.send(text)
                assert await socket.recv() == f"{text} ['a']"

    serve(scenario, hooks=declared(*chain))


def test_a_session_of_a_page_is_that_of_its_websocket():
    def login(request: Request) -> str:
        request.session["user"] = "ada"
        return "in"

    async def who(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text(websocket.session.get("user", "nobody"))

    async def scenario(site):
        await site.endpoint(login, "/login", "GET")
        await mount(site, who)
        cookie = (await site.get("/login")).headers["Set-Cookie"].partition(";")[0]
        async with connect(site) as socket:
            assert await socket.recv() == "nobody"
        async with connect(site, additional_headers={"Cookie": cookie}) as socket:
            assert await socket.recv() == "ada"

    serve(scenario, hooks=declared((SessionMiddleware, {"secret_key": KEY})))


@pytest.mark.parametrize(
    ("how", "status", "detail"),
    [
        ("close", 403, "not you"),
        ("raise", 500, "Internal Server Error"),
        ("accept", 500, "Internal Server Error"),
        ("nothing", 500, "Internal Server Error"),
    ],
)
def test_a_class_may_deny_it_and_one_that_fails_does(how, status, detail):
    async def scenario(site):
        unit = await mount(site, echo)
        assert await denied(site) == (status, {"detail": detail})
        assert len(unit.ledger.failures) == (status == 500)
        assert unit.drained

    serve(scenario, hooks=declared((Denying, {"how": how})))


def test_an_answer_of_its_own_denies_it_too():
    async def scenario(site):
        await mount(site, echo)
        with pytest.raises(InvalidStatus) as caught:
            await connect(site)
        response = caught.value.response
        assert (response.status_code, response.body) == (402, b"pay first")
        assert response.headers["X-Why"] == "1"

    serve(scenario, hooks=declared((Denying, {"how": "answer"})))


def test_starlettes_own_denies_a_host():
    async def scenario(site):
        await mount(site, echo)
        with pytest.raises(InvalidStatus) as caught:
            await connect(site)
        assert caught.value.response.status_code == 400

    hooks = declared((TrustedHostMiddleware, {"allowed_hosts": ["shop.example.com"]}))
    serve(scenario, hooks=hooks)
