"""The routes of a running flow, called as functions over real HTTP."""

from __future__ import annotations

import datetime as dt
import inspect
import threading
from dataclasses import dataclass
from typing import Annotated

import pytest
from aiohttp import web

from buildflow_nb import Flow
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow.client import AnswerError, Client
from buildflow_nb.requests import Cookie, File, Form, Header, Query, UploadFile
from buildflow_nb.responses import HTMLResponse, RedirectResponse
from tests.fakes import FakeSink


@dataclass
class Order:
    id: int
    qty: int = 1


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    flow = Flow("test")
    yield flow
    if flow.handle is not None:
        flow.handle.stop(drain=False, timeout=1)


def declare_words(app):
    @app.endpoint(route="/marked", method="GET")
    def marked(
        n: int = 1,
        user_agent: str = Header(),
        user: Annotated[str | None, Cookie()] = None,
        q: list[str] = Query([], alias="item"),
    ) -> list:
        return [n, user_agent, user, q]

    @app.endpoint(route="/form", method="POST")
    def form(name: Annotated[str, Form()], tags: Annotated[list[str], Form()]) -> list:
        return [name, tags]

    @app.endpoint(route="/login", method="POST")
    def login(order: Annotated[Order, Form()]) -> int:
        return order.id * order.qty

    @app.endpoint(route="/upload", method="POST")
    async def upload(
        photo: UploadFile, more: list[UploadFile] = File([]), title: str = Form("none")
    ) -> list:
        files = [photo, *more]
        return [title, *[[f.filename, f.content_type, (await f.read()).decode()] for f in files]]

    @app.endpoint(route="/page", method="GET")
    def page() -> HTMLResponse:
        return HTMLResponse("<p>é")

    @app.endpoint(route="/elsewhere", method="GET")
    def elsewhere() -> RedirectResponse:
        return RedirectResponse("/page")


@pytest.fixture
def client(app):
    @app.endpoint(route="/worst", method="GET")
    def worst(limit: int = 10, day: dt.date | None = None) -> dict:
        """The worst ones.

        Longer.
        """
        return {"limit": limit, "day": day}

    @app.endpoint(route="/items/{name}/{rest:path}", method="GET")
    def item(name: str, rest: str, tags: list[str], on: bool = False) -> list:
        return [name, rest, tags, on]

    @app.endpoint(route="/two/{n:int}", method="POST")
    def two(n: int, left: Order, right: Order) -> list:
        return [n, left.id, right.id]

    @app.endpoint(route="/raw", method="PUT")
    def raw(data: bytes) -> bytes:
        return data[::-1]

    @app.endpoint(route="/fields", method="GET")
    def fields(order: Order) -> int:
        return order.id * order.qty

    @app.endpoint(route="/late", method="GET")
    def late(*, must: str, may: int = 2) -> str:
        if may == 0:
            msg = "secret reason"
            raise ValueError(msg)
        return must * may

    @app.endpoint(route="/own", method="GET")
    def own(request: web.Request) -> web.Response:
        return web.Response(text="plain", status=202 if not request.query_string else 418)

    declare_words(app)

    @app.collector(route="/take", sink=FakeSink())
    def take(order: Order) -> Order:
        return order

    app.run(block=False, serve_port=0)
    return app.client()


def test_every_kind_of_parameter_arrives(client):
    assert client.worst() == {"limit": 10, "day": None}
    assert client.worst(limit=3, day=dt.date(2024, 2, 3)) == {"limit": 3, "day": "2024-02-03"}
    assert client.worst(4) == {"limit": 4, "day": None}
    found = client.item("a b/ü?", "x/y z", ["1", "&=2"], on=True)
    assert found == ["a b/ü?", "x/y z", ["1", "&=2"], True]
    assert client.two(5, Order(1), right={"id": 2, "qty": 3}) == [5, 1, 2]
    assert client.raw(b"\x00ab") == b"ba\x00"
    assert client.fields(Order(3, 4)) == 12
    assert client.late(must="a") == "aa"
    assert client.own() == "plain"
    assert client.take(Order(1)) == {"success": True}
    assert client.take({"id": 1}) == {"success": True}


def test_marked_parameters_arrive_by_their_ways(client):
    assert client.marked(user_agent="é日", user='a; "b"', q=["1", "2"]) == [
        1,
        "é日",
        'a; "b"',
        ["1", "2"],
    ]
    assert client.form("a&b", ["1", "é"]) == ["a&b", ["1", "é"]]
    assert client.login(Order(3, 4)) == 12
    assert str(inspect.signature(client.marked)).startswith("(*, n: int = 1, user_agent: str, user")
    assert str(inspect.signature(client.upload)).endswith("title: str = 'none') -> list")


def test_files_are_sent(client, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc")
    text = ["a.txt", "text/plain", "abc"]
    assert client.upload(path) == ["none", text]
    assert client.upload(str(path), title="t") == ["t", text]
    assert client.upload(b"1", [('b"\n.png', b"2"), path]) == [
        "none",
        ["file", "application/octet-stream", "1"],
        ["b%22%0A.png", "image/png", "2"],
        text,
    ]
    with pytest.raises(UsageError, match=r"'photo' cannot be sent: .*No such file"):
        client.upload("missing.txt")
    with pytest.raises(UsageError, match=r"a file is a path, bytes, or .name, bytes., not int"):
        client.upload(5)


def test_answers_come_as_what_they_are(client):
    assert client.page() == "<p>é"
    with pytest.raises(AnswerError, match=r"^GET /elsewhere answered 307: it is at /page$"):
        client.elsewhere()


def test_functions_say_what_they_are(app, client):
    assert dir(client) == sorted(app.processors)
    assert str(inspect.signature(client.worst)) == (
        "(limit: int = 10, day: datetime.date | None = None) -> dict"
    )
    assert client.worst.__doc__ == "GET /worst\n\nThe worst ones.\n\nLonger."
    assert client.worst.__name__ == "worst"
    assert str(inspect.signature(client.late)) == "(*, must: str, may: int = 2) -> str"
    assert str(inspect.signature(client.own)) == "() -> aiohttp.web_response.Response"
    assert "worst(limit: int = 10" in repr(client)
    assert "POST /take" in repr(client)


def test_completion_knows_the_routes(client):
    from IPython.core.completer import IPCompleter, provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    completer = IPCompleter(shell=shell, namespace={"client": client}, global_namespace={})
    with provisionalcompleter():
        found = {one.text.lstrip(".") for one in completer.completions("client.wo", 9)}
    assert "worst" in found


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda c: c.late(must="a", may=0), r"^GET /late answered 500: Internal Server Error; app"),
        (lambda c: c.worst(limit="many"), r"^GET /worst answered 422: query\.limit: "),
        (lambda c: c.take({"id": "x"}), r"^POST /take answered 422: body\.id: "),
        (lambda c: c.two(1, {"id": "x"}, {}), r"answered 422: body\.left\.id: .*; body\.right"),
    ],
)
def test_an_error_answer_is_one_line_with_status_and_route(client, call, said):
    with pytest.raises(AnswerError, match=said) as caught:
        call(client)
    assert "\n" not in str(caught.value)
    assert caught.value.status in (422, 500)
    assert "secret reason" not in str(caught.value)


def test_wrong_calls_are_refused_before_they_leave(app, client):
    with pytest.raises(
        UsageError, match=r"^worst\(limit: .*: got an unexpected keyword argument 'limits'$"
    ):
        client.worst(limits=3)
    with pytest.raises(UsageError, match="missing a required argument: 'order'"):
        client.take()
    with pytest.raises(
        AttributeError, match=r"no collector or endpoint 'wurst'; did you mean 'wor"
    ):
        client.wurst  # noqa: B018
    with pytest.raises(UsageError, match="'order' cannot be sent: object has no"):
        client.fields(object())
    assert app.snapshot().processor("worst").elements_in == 0


def test_without_a_run_it_says_app_run_and_a_new_run_is_found(app, client):
    app.handle.stop()
    with pytest.raises(UsageError, match=r"^flow 'test' does not serve; app\.run\(\) starts it$"):
        client.worst()
    app.run(block=False, serve_port=0)
    assert client.worst(1)["limit"] == 1


def test_every_call_has_a_deadline(app):
    go = threading.Event()

    @app.endpoint(route="/slow", method="GET")
    def slow() -> int:
        go.wait(20)
        return 1

    app.run(block=False, serve_port=0)
    client = Client(lambda: app.processors, lambda: app.handle.address, timeout=0.1)
    with pytest.raises(TimeoutError, match=r"^GET /slow of 'slow': no answer within 0\.1 s$"):
        client.slow()
    go.set()


def test_an_async_processor_is_told_to_use_a_thread(app):
    @app.endpoint(route="/one", method="GET")
    def one() -> int:
        return 1

    @app.endpoint(route="/two", method="GET")
    async def two() -> int:
        return app.client().one()

    app.run(block=False, serve_port=0)
    with pytest.raises(AnswerError):
        app.client().two()
    assert "use asyncio.to_thread" in app.failures("two")[0].error
