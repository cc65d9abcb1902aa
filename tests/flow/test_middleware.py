"""Middleware declared on a flow and on its services, in a run and while it runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from buildflow_nb import Flow, Service
from buildflow_nb.core.errors import DeclarationError, RunError, UsageError
from buildflow_nb.middleware import GZipMiddleware, SessionMiddleware
from buildflow_nb.responses import PlainTextResponse
from tests.fakes import FakeSink, FakeSource


def marking(word):
    async def mark(request, call_next):
        response = await call_next(request)
        response.headers.append("X-Out", word)
        return response

    mark.__name__ = word
    return mark


class Stop:
    """An ASGI class that answers itself."""

    def __init__(self, app, status=503):
        self.status = status

    async def __call__(self, scope, receive, send):
        await PlainTextResponse("stop", self.status)(scope, receive, send)


def ask(flow: Flow, path: str):
    try:
        with urllib.request.urlopen(flow.handle.address + path, timeout=10) as answer:  # noqa: S310  (our own)
            return answer.status, answer.headers.get_all("X-Out", []), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_all("X-Out", []), error.read()


@pytest.fixture
def served(app):
    @app.endpoint("/hello")
    def hello() -> str:
        return "hello"

    return app


def test_it_stands_around_all_routes_the_last_added_outermost(served):
    served.add_middleware(marking("a"))
    assert served.middleware("http")(inner := marking("b")) is inner
    sink = FakeSink()

    @served.collector("/take", method="GET", sink=sink)
    def take(n: int) -> dict:
        return {"n": n}

    served.run(block=False, serve_port=0)
    assert ask(served, "/hello") == (200, ["a", "b"], b'"hello"')
    assert ask(served, "/take?n=1") == (200, ["a", "b"], b'{"success":true}')
    assert ask(served, "/nowhere")[:2] == (404, ["a", "b"])
    assert sink.tape.pushed == [{"n": 1}]


def test_that_of_a_service_stands_inside_that_of_the_flow(served):
    service = served.service("/shop", service_id="shop")

    @service.endpoint("/n")
    def number() -> int:
        return 1

    service.add_middleware(marking("s"))
    served.add_middleware(marking("f"))
    service.add_middleware(marking("t"))
    served.run(block=False, serve_port=0)
    assert ask(served, "/shop/n") == (200, ["s", "t", "f"], b"1")
    assert ask(served, "/hello")[1] == ["f"]


def test_a_service_that_was_made_apart_brings_its_own(served):
    service = Service("/shop")
    service.add_middleware(marking("s"))

    @service.endpoint("/n")
    def number() -> int:
        return 1

    served.add_service(service)
    service.add_middleware(marking("t"))
    served.run(block=False, serve_port=0)
    assert ask(served, "/shop/n")[1] == ["s", "t"]
    assert ask(served, "/hello")[1] == []


def test_it_changes_while_the_flow_runs(served):
    served.run(block=False, serve_port=0)
    assert ask(served, "/hello")[1] == []
    served.add_middleware(marking("a"))
    assert ask(served, "/hello")[1] == ["a"]
    with pytest.raises(RunError, match="middleware stays as it was: SessionMiddleware has"):
        served.add_middleware(SessionMiddleware, secret_key="")
    assert ask(served, "/hello")[1] == ["a"]


def test_a_cell_that_is_run_again_replaces_it(served):
    served.run(block=False, serve_port=0)
    for word in ("a", "b"):
        served.registry.hold()
        mark = marking(word)
        mark.__name__ = "mark"
        served.add_middleware(mark)
        served.add_middleware(GZipMiddleware)
        served.add_middleware(GZipMiddleware, minimum_size=10)
        served.registry.release()
        assert ask(served, "/hello")[1] == [word]
    assert len(served.registry.hooks) == 3


def test_a_class_of_ones_own(served):
    served.add_middleware(Stop, status=429)
    served.run(block=False, serve_port=0)
    assert ask(served, "/hello") == (429, [], b"stop")


def test_middleware_that_cannot_be_made_fails_the_start(served):
    class Broken:
        def __init__(self, app):
            msg = "no way"
            raise ValueError(msg)

    served.add_middleware(Broken)
    with pytest.raises(DeclarationError, match="middleware 'Broken' cannot be made: no way"):
        served.run(block=False, serve_port=0)


def test_a_key_that_is_missing_fails_the_start_in_one_line(served, monkeypatch):
    monkeypatch.delenv("BUILDFLOW_SESSION_SECRET", raising=False)
    served.add_middleware(SessionMiddleware)
    with pytest.raises(UsageError, match="has no key to sign sessions with"):
        served.run(block=False, serve_port=0)


def test_a_flow_without_routes_has_no_use_for_it(app):
    sink = FakeSink()
    app.add_middleware(marking("a"))

    @app.consumer(source=FakeSource([[1]]), sink=sink)
    def same(x: int) -> int:
        return x

    app.run()
    assert sink.tape.pushed == [1]


async def good(request, call_next): ...


def not_async(request, call_next): ...


async def lonely(request): ...


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        (not_async, {}, "'not_async' must be async"),
        (lonely, {}, "'lonely' is called with the request and call_next"),
        (good, {"x": 1}, "'good' is called with the request and call_next"),
        (Stop, {"x": 1}, r"'Stop' does not take these options \(x\)"),
        (GZipMiddleware, {"minimum": 1}, r"does not take these options \(minimum\)"),
        (3, {}, "a class or an async function is needed, got int"),
        (Stop(None), {}, "a class or an async function is needed, got Stop"),
    ],
)
def test_what_is_no_middleware_is_refused_when_it_is_declared(app, target, options, said):
    with pytest.raises(DeclarationError, match=said):
        app.add_middleware(target, **options)
    with pytest.raises(DeclarationError, match=said):
        Service("/shop").add_middleware(target, **options)


def test_there_is_one_type(app):
    with pytest.raises(DeclarationError, match='must be "http"'):
        app.middleware("websocket")


def test_json_is_json_still(served):
    served.add_middleware(marking("a"))
    served.run(block=False, serve_port=0)
    assert json.loads(ask(served, "/openapi.json")[2])["openapi"] == "3.1.0"
