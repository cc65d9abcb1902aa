"""A page for all routes, and one for each service with a base route of its own."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from openapi_spec_validator import validate

from tests.fakes import FakeSink
from tests.runtime.http.site import serve


def order(n: int) -> int:
    return n


def price(n: int) -> int:
    return n


def hello() -> str:
    return "hello"


def take(body: dict) -> dict:
    return body


async def shop(site):
    await site.start(site.spec(order, "/orders/{n}", "GET", base="/shop"))
    await site.start(site.spec(price, "/prices/{n}", "GET", base="/shop/v1/"))
    await site.start(site.spec(hello, "/hello", "GET"))
    await site.collector(take, FakeSink(), "/shop/take")


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("/openapi.json", {"/shop/orders/{n}", "/shop/v1/prices/{n}", "/hello", "/shop/take"}),
        ("/shop/openapi.json", {"/shop/orders/{n}"}),
        ("/shop/v1/openapi.json", {"/shop/v1/prices/{n}"}),
    ],
)
def test_each_document_has_its_own_routes_and_says_where_they_are(path, paths):
    async def scenario(site):
        await shop(site)
        for where in (path, path.replace("openapi.json", "docs/openapi.json")):
            document = (await site.get(where)).json
            assert set(document["paths"]) == paths
            (server,) = document["servers"]
            assert urljoin(f"http://host{where}", server["url"]) in ("http://host/", "http://host")
        validate((await site.get(path)).json)

    serve(scenario)


def test_each_page_loads_what_it_needs_from_below_itself():
    async def scenario(site):
        await shop(site)
        for base in ("", "/shop", "/shop/v1"):
            for page in (f"{base}/docs", f"{base}/docs/"):
                reply = await site.get(page)
                assert (reply.status, reply.headers["Content-Type"]) == (
                    200,
                    "text/html; charset=utf-8",
                )
                script = urljoin(
                    f"http://host{page}", "docs/start.js" if page[-1] != "/" else "start.js"
                )
                assert script == f"http://host{base}/docs/start.js"
                assert (await site.get(script.removeprefix("http://host"))).status == 200

    serve(scenario)


def test_a_page_is_titled_by_its_service():
    async def scenario(site):
        await shop(site)
        assert (await site.get("/shop/openapi.json")).json["info"]["title"] == "shop"

    serve(scenario)


def test_pages_come_and_go_with_the_routes():
    async def scenario(site):
        assert (await site.get("/shop/docs")).status == 404
        await shop(site)
        assert (await site.get("/shop/docs")).status == 200
        unit = next(one for one in site.routes if one.id == "order")
        await unit.stop(drain=True, timeout_s=1)
        assert (await site.get("/shop/docs")).status == 404
        assert (await site.get("/shop/v1/docs")).status == 200

    serve(scenario)


def test_head_and_options_of_routes_and_pages():
    async def scenario(site):
        await shop(site)
        for path in ("/shop/docs", "/shop/openapi.json", "/shop/orders/1", "/hello"):
            reply = await site.ask("HEAD", path)
            assert (reply.status, reply.body) == (200, b"")
            reply = await site.ask("OPTIONS", path)
            assert (reply.status, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
            assert (await site.ask("PUT", path)).status == 405

    serve(scenario)
