"""A flow with routes, asked over real HTTP."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import BuildFlowError, DeclarationError, RunError, ServeError
from buildflow_nb.core.status.snapshot import State
from tests.fakes import FakeSink, FakeSource


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("served")
    yield flow
    if flow.handle is not None:
        flow.handle.stop(drain=False, timeout=1)


def ask(flow: Flow, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(flow.handle.address + path, data, timeout=10) as answer:  # noqa: S310  (our own)
        return json.load(answer)


@dataclass
class Order:
    id: int


def test_collectors_and_endpoints_share_a_port_and_come_while_it_runs(app):
    sink = FakeSink()

    @app.collector("/orders", method="POST", sink=sink)
    def take(order: Order) -> Order:
        return order

    app.run(block=False, serve_port=0)
    assert ask(app, "/orders", {"id": 7}) == {"success": True}
    assert sink.tape.pushed == [Order(7)]
    service = app.service("/v1")

    @service.endpoint("/orders/{n}", method="GET")
    async def show(n: int) -> Order:
        return Order(n)

    assert ask(app, "/v1/orders/3") == {"id": 3}
    assert ask(app, "/healthz")
    app.remove("show")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(app, "/v1/orders/3")
    seen = app.snapshot().processor("take")
    assert (seen.elements_in, seen.elements_out, dict(seen.codes)) == (1, 1, {200: 1})


def test_a_taken_port_is_one_clear_line_and_leaves_nothing_behind(app):
    @app.endpoint("/", method="GET")
    def hello() -> str:
        return "hello"

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServeError, match=str(port)) as caught:
            app.run(block=False, serve_port=port)
    assert "\n" not in str(caught.value)
    assert app.handle is None
    app.run(block=False, serve_port=port)
    assert ask(app, "/") == "hello"


def test_a_swap_changes_the_answer_and_a_failing_one_does_not(app):
    def declare(value: int, *, broken: bool = False) -> None:
        @app.endpoint("/n", method="GET")
        class Number:
            def setup(self) -> None:
                if broken:
                    msg = "no model"
                    raise OSError(msg)

            def process(self) -> int:
                return value

    declare(1)
    app.run(block=False, serve_port=0)
    assert ask(app, "/n") == 1
    declare(2)
    assert ask(app, "/n") == 2
    with pytest.raises(RunError, match="the old one keeps running: OSError: no model"):
        declare(3, broken=True)
    assert ask(app, "/n") == 2
    assert app.snapshot().processor("Number").state is State.RUNNING


def test_what_cannot_be_bound_is_refused_when_it_is_declared(app):
    class Odd:
        pass

    with pytest.raises(DeclarationError, match="endpoint 'f', parameter 'odd': Odd"):

        @app.endpoint("/f", method="GET")
        def f(odd: Odd) -> str:
            return ""


def test_a_route_runs_an_element_without_http_and_without_a_run(app):
    @app.endpoint("/add/{a}", method="GET")
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert app.send("add", {"a": 1, "b": 5}) == [6]
    app.run(block=False, serve_port=0)
    assert app.send("add", {"a": 1}) == [2]


def test_a_flow_goes_on_serving_when_its_consumers_are_done(app):
    @app.consumer(source=FakeSource([[1]]), sink=FakeSink())
    def same(x: int) -> int:
        return x

    @app.endpoint("/n", method="GET")
    def n() -> int:
        return 1

    app.run(block=False, serve_port=0)
    snapshot = app.handle.wait_until(drained=True, timeout=10)
    assert snapshot.processor("same").state is State.DONE
    assert app.handle.running
    assert ask(app, "/n") == 1


@pytest.mark.parametrize("runs", [False, True])
def test_what_needs_nothing_is_sent_nothing(app, runs):
    @app.endpoint("/ping")
    def ping() -> str:
        return "pong"

    @app.endpoint("/page")
    def page(number: int = 1, size: int = 10) -> list[int]:
        return [number, size]

    @app.endpoint("/item")
    def item(number: int) -> int:
        return number

    if runs:
        app.run(block=False, serve_port=0)
    assert app.send("ping") == app.send("ping", {}) == ["pong"]
    assert app.send("page") == [[1, 10]]
    assert app.send("page", {"size": 3}) == [[1, 3]]
    with pytest.raises(BuildFlowError):
        app.send("item")


@pytest.mark.parametrize("other", ["/pens/{number}", "/pens/{number}/"])
def test_a_second_one_of_one_route_and_method_is_refused_where_it_is_declared(app, other):
    def pen(id: int) -> int:  # noqa: A002
        return id

    def another(number: int = 1) -> int:
        return number

    app.endpoint("/pens/{id}")(pen)
    said = r"^endpoint 'pen' and .* 'another' both serve GET .*app\.remove\('pen'\)$"
    with pytest.raises(DeclarationError, match=said):
        app.endpoint(other)(another)
    with pytest.raises(DeclarationError, match=said):
        app.collector(other, "GET", FakeSink())(another)
    assert list(app.processors) == ["pen"]
    app.endpoint("/pens/{id}")(pen)  # itself, once more
    app.endpoint("/pens/{number}", method="POST")(another)
    app.endpoint("/pens/{number:int}")(another)
    assert list(app.processors) == ["pen", "another"]
    app.remove("pen")
    app.endpoint(other)(another)
