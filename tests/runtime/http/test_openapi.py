"""The document says what the routes do, and the page that shows it loads nothing from elsewhere."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pydantic
from aiohttp import web

from tests.fakes import FakeSink
from tests.runtime.http.site import Site, serve


@dataclass
class Item:
    sku: str
    qty: int = 1


@dataclass
class Order:
    id: int
    at: dt.datetime
    items: list[Item] = field(default_factory=list)
    note: str | None = None
    kind: Literal["a"] = "a"


class Model(pydantic.BaseModel):
    name: str
    parent: Model | None = None


@dataclass
class Mixed:
    model: Model


class Pair(NamedTuple):
    a: int
    b: str = "b"


async def price(id: int, order: Order, dry: bool = False, tags: list[str] | None = None) -> Item:  # noqa: A002
    """Price an order.

    The long story.
    """
    return Item("a")


async def find(item: Item, request: web.Request) -> list[Item]:
    return []


async def model(model: Model) -> Model | None:
    return model


async def several(mixed: Mixed, pair: Pair) -> Pair:
    return pair


async def raw(data: bytes) -> bytes:
    return data


async def page(name: str) -> web.Response:
    return web.Response()


async def anything(value):
    return value


def gen(n: int):
    yield n


async def keep(order: Order) -> Order:
    return order


async def everything(site: Site):
    await site.endpoint(price, "/orders/{id}")
    await site.endpoint(find, "/orders", "GET")
    await site.endpoint(model, "/model", "PUT")
    await site.endpoint(several, "/several")
    await site.endpoint(raw, "/raw")
    await site.endpoint(page, "/files/{name:path}", "GET")
    await site.endpoint(anything, "/anything")
    await site.endpoint(gen, "/gen", "GET")
    await site.collector(keep, FakeSink(), "/keep")
    return (await site.get("/openapi.json")).json


def test_the_document():
    async def scenario(site: Site):
        found = await everything(site)
        assert found["openapi"] == "3.1.0"
        assert found["info"]["title"] == "my-flow"
        paths = found["paths"]
        assert set(paths) == {
            "/orders/{id}", "/orders", "/model", "/several", "/raw", "/files/{name}",
            "/anything", "/gen", "/keep",
        }  # fmt: skip
        one = paths["/orders/{id}"]["post"]
        assert (one["operationId"], one["summary"]) == ("price", "Price an order.")
        assert (one["description"], one["tags"]) == ("The long story.", ["shop"])
        parameters = {p["name"]: (p["in"], p["required"], p["schema"]) for p in one["parameters"]}
        assert parameters["id"] == ("path", True, {"type": "integer"})
        assert parameters["dry"] == ("query", False, {"type": "boolean", "default": False})
        assert parameters["tags"][:2] == ("query", False)
        body = one["requestBody"]
        assert body["required"]
        assert _schema(body) == {"$ref": "#/components/schemas/Order"}
        assert _schema(one["responses"]["200"]) == {"$ref": "#/components/schemas/Item"}
        assert set(one["responses"]) == {"200", "422", "500"}
        fields = {p["name"]: p["required"] for p in paths["/orders"]["get"]["parameters"]}
        assert fields == {"sku": True, "qty": False}
        raw_body = paths["/raw"]["post"]["requestBody"]["content"]
        assert list(raw_body) == ["application/octet-stream"]
        both = _schema(paths["/several"]["post"]["requestBody"])
        assert set(both["properties"]) == set(both["required"]) == {"mixed", "pair"}
        assert list(paths["/files/{name}"]["get"]["responses"]["200"]["content"]) == ["*/*"]
        assert set(paths["/keep"]["post"]["responses"]) == {"200", "422", "500", "503"}

    serve(scenario, title="my-flow")


def _schema(node):
    return node["content"]["application/json"]["schema"]


def test_every_reference_leads_somewhere():
    async def scenario(site: Site):
        found = await everything(site)
        components = found["components"]["schemas"]
        for name in set(re.findall(r"#/components/schemas/(\w+)", str(found))):
            assert name in components
        order, pair = components["Order"], components["Pair"]
        assert order["properties"]["at"]["type"] == "string"
        assert set(order["required"]) == {"id", "at"}
        assert pair["type"] == "object"
        assert components["Mixed"]["properties"]["model"] == {"$ref": "#/components/schemas/Model"}
        assert components["Model"]["properties"]["name"]["type"] == "string"

    serve(scenario)


def test_the_document_follows_the_routes():
    async def scenario(site: Site):
        assert (await site.get("/openapi.json")).json["paths"] == {}
        unit = await site.endpoint(raw, "/raw")
        assert "/raw" in (await site.get("/openapi.json")).json["paths"]
        await unit.swap(site.spec(raw, "/other"))
        assert list((await site.get("/openapi.json")).json["paths"]) == ["/other"]
        await unit.stop(drain=True, timeout_s=1)
        assert (await site.get("/openapi.json")).json["paths"] == {}

    serve(scenario)


def test_the_page_reads_a_document_that_it_can_show():
    async def scenario(site: Site):
        await everything(site)
        found = (await site.get("/docs/openapi.json")).json
        assert found["openapi"] == "3.0.3"
        order = found["components"]["schemas"]["Order"]["properties"]
        assert order["note"]["nullable"] is True
        assert "'null'" not in str(found)
        assert "prefixItems" not in str(found)

    serve(scenario)


def test_the_page_works_behind_any_path_and_loads_nothing_from_elsewhere():
    async def scenario(site: Site):
        for path, folder in (("/docs", "docs/"), ("/docs/", "")):
            page = await site.get(path)
            assert page.status == 200
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            policy = page.headers["Content-Security-Policy"].split("; ")
            assert "default-src 'self'" in policy
            assert "form-action 'self'" in policy
            assert "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*" in policy
            links = re.findall(r'(?:src|href)="([^"]*)"', page.body.decode())
            assert links
            for link in links:
                assert link.startswith(folder)
                assert not link.startswith(("/", "http"))
                file = await site.get("/docs/" + link.removeprefix(folder))
                assert file.status == 200
                assert file.body
        assert b"validatorUrl: null" in (await site.get("/docs/start.js")).body
        assert (await site.get("/docs/../../etc/passwd")).status == 404
        assert (await site.get("/docs/index.html")).status == 404
        assert (await site.ask("HEAD", "/docs")).status == 200

    serve(scenario)
