"""Whom CORS lets in past the guard, and that everybody else stays outside."""

from __future__ import annotations

import logging

import pytest
from websockets.exceptions import InvalidStatus

from buildflow_nb.middleware import CORSMiddleware
from buildflow_nb.requests import WebSocket
from tests.fakes import FakeSink
from tests.runtime.http.site import serve
from tests.runtime.http.test_middleware import Order, declared
from tests.runtime.http.test_websocket import connect

SHOP = "https://shop.example.com"
EVIL = "https://evil.example.com"


def take(order: Order) -> Order:
    return order


def other(order: Order) -> Order:
    return order


def show() -> str:
    return "shown"


def cors(**options):
    options = {"allow_origins": [SHOP], "allow_methods": ["POST"], **options}
    return (CORSMiddleware, {"allow_headers": ["content-type"], **options})


async def preflight(site, origin, path="/x", method="POST", headers="content-type"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = headers
    return await site.ask("OPTIONS", path, headers=asked)


async def ask(site, origin, path="/x"):
    headers = {"Origin": origin, "Content-Type": "application/json"}
    return await site.ask("POST", path, data=b'{"id": 1}', headers=headers)


def test_without_it_no_strange_page_comes_in():
    async def scenario(site):
        await site.endpoint(take)
        assert (await preflight(site, SHOP)).status == 403
        assert (await ask(site, SHOP)).status == 403

    serve(scenario)


def test_the_origins_that_it_names_come_in_and_no_other():
    async def scenario(site):
        await site.endpoint(take)
        reply = await preflight(site, SHOP)
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == SHOP
        assert reply.headers["access-control-allow-methods"] == "POST"
        reply = await ask(site, SHOP)
        assert (reply.status, reply.json) == (200, {"id": 1})
        assert reply.headers["access-control-allow-origin"] == SHOP
        for way in (preflight, ask):
            reply = await way(site, EVIL)
            assert reply.status == 403
            assert "access-control-allow-origin" not in reply.headers

    serve(scenario, hooks=declared(cors()))


@pytest.mark.parametrize(
    "options",
    [
        {"allow_origins": ["*"]},
        {"allow_origins": [], "allow_origin_regex": r"https://.*\.example\.com"},
        {"allow_origins": ["*"], "allow_credentials": True},
    ],
)
def test_patterns_and_everybody(options):
    async def scenario(site):
        await site.endpoint(take)
        for origin in (SHOP, EVIL):
            assert (await preflight(site, origin)).status == 200
            assert (await ask(site, origin)).status == 200

    serve(scenario, hooks=declared(cors(**options)))


def test_a_name_that_is_not_served_stays_outside_whatever_the_origin():
    async def scenario(site):
        await site.endpoint(take)
        headers = {"Origin": SHOP, "Host": "rebound.example.com"}
        reply = await site.ask("POST", "/x", data=b'{"id": 1}', headers=headers)
        assert (reply.status, "is not served" in reply.detail) == (403, True)

    serve(scenario, hooks=declared(cors(allow_origins=["*"])))


def test_what_browsers_send_without_an_origin_stays_outside():
    sink = FakeSink()

    async def scenario(site):
        await site.collector(take, sink, "/take", "GET")
        await site.endpoint(show, "/show", "GET")
        strange = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert (await site.get("/take?id=1", headers=strange)).status == 403
        assert (await site.get("/show", headers=strange)).status == 403

    serve(scenario, hooks=declared(cors(allow_origins=["*"])))
    assert sink.tape.pushed == []


def test_two_origins_are_none():
    async def scenario(site):
        await site.endpoint(take)
        head = f"POST /x HTTP/1.1\r\nHost: localhost\r\nOrigin: {SHOP}\r\nOrigin: {SHOP}\r\n"
        raw = await site.raw(f"{head}Content-Length: 0\r\n\r\n".encode())
        assert raw.startswith(b"HTTP/1.1 403")

    serve(scenario, hooks=declared(cors(allow_origins=["*"])))


def test_that_of_a_service_is_for_that_service_alone():
    hooks = declared(shop=(*cors(), "/shop"))

    async def scenario(site):
        await site.start(site.spec(take, "/orders", base="/shop"))
        await site.collector(other, FakeSink(), "/take")
        assert (await preflight(site, SHOP, "/shop/orders")).status == 200
        assert (await ask(site, SHOP, "/shop/orders")).status == 200
        assert (await preflight(site, SHOP, "/take")).status == 403
        assert (await ask(site, SHOP, "/take")).status == 403
        assert (await ask(site, EVIL, "/shop/orders")).status == 403

    serve(scenario, hooks=hooks)


def test_a_path_that_two_services_share_is_opened_by_method():
    async def scenario(site):
        await site.start(site.spec(take, "/x"))
        await site.collector(other, FakeSink(), "/x", "PUT")
        assert (await preflight(site, SHOP)).status == 200
        assert (await preflight(site, SHOP, method="PUT")).status == 403
        assert (await ask(site, SHOP)).status == 200
        named = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
        assert (await site.ask("PUT", "/x", data=b'{"id": 1}', headers=named)).status == 403

    serve(scenario, hooks=declared(shop=(*cors(), "/")))


def test_a_preflight_at_a_path_with_a_parameter():
    def by_id(id: int) -> int:  # noqa: A002  (the parameter's name)
        return id

    hooks = declared(shop=(*cors(), "/shop"))

    async def scenario(site):
        await site.start(site.spec(by_id, "/orders/{id}", base="/shop"))
        assert (await preflight(site, SHOP, "/shop/orders/7")).status == 200
        reply = await site.ask("POST", "/shop/orders/7", headers={"Origin": SHOP})
        assert reply.json == 7

    serve(scenario, hooks=hooks)


def test_a_page_that_is_let_in_may_open_a_websocket():
    async def greet(websocket: WebSocket, name: str):
        await websocket.accept()
        await websocket.send_text(f"hello {name}")

    async def scenario(site):
        spec = site.spec(greet, "/greet/{name}", "WEBSOCKET", base="/shop")
        await site.start(spec)
        async with connect(site, "/shop/greet/ada", origin=SHOP) as socket:
            assert await socket.recv() == "hello ada"
        with pytest.raises(InvalidStatus, match="403"):
            await connect(site, "/shop/greet/ada", origin=EVIL)

    serve(scenario, hooks=declared(shop=(*cors(), "/shop")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, f"INFO CORS: pages of {SHOP} may call this flow"),
        ({"allow_origins": ["*"]}, "WARNING CORS: pages of any site may call this flow"),
        ({"allow_origins": []}, "INFO CORS: pages of no other site may call this flow"),
        (
            {"allow_origins": [], "allow_origin_regex": "https://.*"},
            "INFO CORS: pages of those like https://.* may call this flow",
        ),
    ],
)
def test_it_is_said_whom_it_lets_in(options, said, caplog):
    caplog.set_level(logging.INFO, "buildflow_nb.run")

    async def scenario(site):
        pass

    serve(scenario, hooks=declared(cors(**options)))
    assert [f"{one.levelname} {one.getMessage()}" for one in caplog.records] == [said]
