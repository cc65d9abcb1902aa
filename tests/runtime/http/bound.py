"""Functions with every kind of parameter, and what a request makes of them."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

import msgspec
import pydantic

from tests.runtime.http.site import Site, serve


@dataclass
class Item:
    sku: str
    qty: int


@dataclass
class Order:
    id: int
    items: list[Item] = field(default_factory=list)
    note: str | None = None


class Color(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field(min_length=2)


class Struct(msgspec.Struct):
    id: int


class Typed(TypedDict):
    id: int


class Named(NamedTuple):
    id: int
    name: str = "n"


@dataclass
class Search:
    text: str
    limit: int = 10
    tags: list[str] = field(default_factory=list)
    since: dt.date | None = None


class Odd:
    def __init__(self, x, y):
        pass


async def body(order: Order) -> str:
    return repr(order)


def check(function, expected, *, path="/x", method="GET", route="/x", **words):
    async def scenario(site: Site):
        await site.endpoint(function, route, method)
        reply = await site.ask(method, path, **words)
        assert (reply.status, reply.json) == (200, expected)

    serve(scenario)


def faults(function, expected, *, path="/x", method="POST", route="/x", **words):
    async def scenario(site: Site):
        unit = await site.endpoint(function, route, method)
        reply = await site.ask(method, path, **words)
        assert reply.status == 422
        assert reply.faults == expected
        assert unit.snapshot().failed == 0
        assert all(one["msg"] for one in reply.detail)

    serve(scenario)


async def model(value: Model) -> str:
    return ""


@dataclass
class Mixed:
    models: list[Model]


async def mixed(value: Mixed) -> str:
    return ""
