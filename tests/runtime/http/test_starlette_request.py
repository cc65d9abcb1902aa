"""What starlette's documentation says of requests, against our server with a real client."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Awaitable, Callable

import httpx
import pytest

from buildflow_nb.requests import ClientDisconnect, Request
from buildflow_nb.responses import JSONResponse, Response, StreamingResponse
from buildflow_nb.runtime.http.asgi import route_app, run_app
from tests.runtime.http.site import Site, serve, until

Telling = Callable[[Request], Awaitable[object]]


def told(tell: Telling, method: str = "GET", path: str = "/x", route: str = "/x", **words):
    """What an endpoint tells of its request, as JSON."""
    found = {}

    async def endpoint(request: Request, name: str = "") -> Response:
        return JSONResponse(await tell(request))

    async def scenario(site: Site):
        await site.endpoint(endpoint, route, method)
        cookies = words.pop("cookies", None)
        async with httpx.AsyncClient(
            base_url=site.server.address, trust_env=False, cookies=cookies
        ) as client:
            reply = await client.request(method, path, **words)
        assert reply.status_code == 200
        found["value"] = reply.json()
        found["port"] = client.base_url.port

    serve(scenario)
    return found["value"], found["port"]


async def url(request: Request) -> object:
    one = request.url
    return [str(one), one.path, one.port, one.scheme, one.hostname, one.query, one.is_secure]


def test_the_url_has_its_parts():
    found, port = told(url, path="/x?a=%20b&c=d")
    whole = f"http://127.0.0.1:{port}/x?a=%20b&c=d"
    assert found == [whole, "/x", port, "http", "127.0.0.1", "a=%20b&c=d", False]


async def base_url(request: Request) -> object:
    return str(request.base_url)


def test_the_base_url_ends_before_the_path():
    found, port = told(base_url)
    assert found == f"http://127.0.0.1:{port}/"


async def headers(request: Request) -> object:
    return [request.headers["X-Twice"], request.headers.getlist("x-twice"), "no" in request.headers]


def test_headers_know_no_case_and_may_come_twice():
    found, _ = told(headers, headers=[("x-twice", "1"), ("X-TWICE", "2")])
    assert found == ["1", ["1", "2"], False]


async def query(request: Request) -> object:
    params = request.query_params
    return [params["a"], params.getlist("a"), params.multi_items(), params.get("b")]


def test_the_query_may_name_a_field_twice():
    found, _ = told(query, path="/x?a=1&a=2&e=")
    assert found == ["2", ["1", "2"], [["a", "1"], ["a", "2"], ["e", ""]], None]


async def path_params(request: Request) -> object:
    return [request.path_params, request.url.path]


def test_parts_of_the_path_are_there():
    found, _ = told(path_params, path="/x/a%20b", route="/x/{name}")
    assert found == [{"name": "a b"}, "/x/a b"]


async def cookies(request: Request) -> object:
    return request.cookies


def test_cookies_are_read():
    found, _ = told(cookies, cookies={"a": "1", "b": "2"})
    assert found == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('chips="hello, world"; b=2', {"chips": "hello, world", "b": "2"}),
        ("a=b=c; ; =d; e", {"a": "b=c", "": "e"}),
        ("a=b; c=%20; [k]=v", {"a": "b", "c": "%20", "[k]": "v"}),
    ],
)
def test_cookies_are_read_as_browsers_write_them(sent, read):
    assert told(cookies, headers={"Cookie": sent})[0] == read


async def client(request: Request) -> object:
    assert request.client is not None
    return [request.client.host, request.client.port > 0]


def test_the_client_has_an_address():
    assert told(client)[0] == ["127.0.0.1", True]


async def body(request: Request) -> object:
    first, second = await request.body(), await request.body()
    return [first.decode(), first is second, await request.json()]


def test_a_body_may_be_read_again_and_as_json():
    assert told(body, "POST", content=b'{"a": 1}')[0] == ['{"a": 1}', True, {"a": 1}]


async def stream(request: Request) -> object:
    pieces = [piece.decode() async for piece in request.stream()]
    try:
        await request.body()
    except RuntimeError as error:
        return ["".join(pieces), pieces[-1], str(error)]
    return None


def test_a_body_that_has_been_streamed_is_gone():
    found, _ = told(stream, "POST", content=b"abc")
    assert found == ["abc", "", "Stream consumed"]


async def body_then_stream(request: Request) -> object:
    await request.body()
    return [piece.decode() async for piece in request.stream()]


def test_a_body_that_has_been_read_may_be_streamed():
    assert told(body_then_stream, "POST", content=b"abc")[0] == ["abc", ""]


async def form(request: Request) -> object:
    async with request.form() as found:
        one = found["photo"]
        return [one.filename, (await one.read()).decode(), found.getlist("n"), one.headers.keys()]


def test_a_form_is_parsed():
    async def tell(request: Request) -> object:
        *rest, headers = await form(request)
        return [*rest, sorted(headers)]

    files = {"photo": ("a.txt", b"abc", "text/plain")}
    found, _ = told(tell, "POST", files=files, data={"n": ["1", "2"]})
    assert found == ["a.txt", "abc", ["1", "2"], ["content-disposition", "content-type"]]


async def state(request: Request) -> object:
    request.state.time = 5
    return [request.state.time, request.scope["state"], request["method"], len(request) > 5]


def test_a_request_keeps_state_and_is_a_mapping_of_its_scope():
    assert told(state)[0] == [5, {"time": 5}, "GET", True]


async def disconnected(request: Request) -> object:
    return [await request.is_disconnected(), (await request.body()).decode()]


def test_asking_whether_the_client_left_costs_nothing_of_the_body():
    assert told(disconnected, "POST", content=b"abc")[0] == [False, "abc"]


def test_names_are_starlettes():
    import starlette.requests as theirs

    assert (Request, ClientDisconnect) == (theirs.Request, theirs.ClientDisconnect)


async def whole(request: Request) -> Response:
    await request.body()
    return Response(str(request.url))


async def parsed(request: Request) -> Response:
    await request.form()
    return Response("a")


async def streamed(request: Request) -> Response:
    async def pieces():
        async for piece in request.stream():
            yield piece

    return StreamingResponse(pieces())


async def beside(request: Request, name: str) -> str:
    request.state.name = name
    return name


@pytest.mark.parametrize("function", [whole, parsed, streamed, beside])
@pytest.mark.parametrize("wrapped", [False, True])
def test_nothing_of_a_request_waits_for_the_garbage_collector(function, wrapped):
    """A body of 16 MiB would wait with it."""
    kept = []

    @functools.wraps(function)
    async def noting(request: Request, *rest: str):
        kept.extend([weakref.ref(request), weakref.ref(request._connection)])
        return await function(request, *rest)

    def wrap(app):
        async def middleware(scope, receive, send):
            await app({**scope}, receive, send)

        return middleware

    async def scenario(site: Site):
        unit = await site.endpoint(noting)
        handle = unit.handle
        if wrapped:
            app = wrap(route_app)
            unit.handle = lambda bounded, values: run_app(app, bounded, values, handle)
        async with httpx.AsyncClient(base_url=site.server.address, trust_env=False) as client:
            for _ in range(3):
                reply = await client.post("/x?name=a", files={"photo": ("a", b"abc")})
                assert reply.status_code == 200
        await until(lambda: unit.drained and not any(one() for one in kept))

    gc.disable()
    try:
        serve(scenario)
    finally:
        gc.enable()
    assert len(kept) == 6
