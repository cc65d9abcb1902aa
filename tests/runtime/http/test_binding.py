"""Each parameter gets what its annotation asks for, and bad input a 422 that says where."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from aiohttp import FormData, web

from buildflow_nb.core.declaring.declare import endpoint_spec
from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.declaring.http_binding import ParameterSource, plan_binding
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.options import ServiceOptions
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


def test_scalars_come_from_path_and_query():
    def scalars(  # noqa: PLR0913, PLR0917
        number: int,
        b: bool,
        f: float,
        d: Decimal,
        c: Color,
        at: dt.datetime,
        u: uuid.UUID,
        lit: Literal["x", 3],
        many: list[int],
        one_of: int | None = None,
        text: str = "text",
    ) -> str:
        return repr((number, b, f, d, c.value, at.year, u.int, lit, many, one_of, text))

    check(
        scalars,
        "(7, True, 1.5, Decimal('2.50'), 'red', 2024, 5, 'x', [1, 2], None, 'ü+&')",
        route="/x/{number}",
        path="/x/7",
        params=[
            ("b", "true"),
            ("f", "1.5"),
            ("d", "2.50"),
            ("c", "red"),
            ("at", "2024-05-06T07:08:09Z"),
            ("u", str(uuid.UUID(int=5))),
            ("lit", "x"),
            ("many", "1"),
            ("many", "2"),
            ("text", "ü+&"),
            ("unknown", "is left alone"),
        ],
    )


def test_every_fault_of_path_and_query_is_named():
    def scalars(  # noqa: PLR0913, PLR0917
        number: int, b: bool, c: Color, needed: str, n: list[int], f: float = 1
    ) -> str:
        return ""

    faults(
        scalars,
        [
            (["path", "number"], "int_parsing"),
            (["query", "b"], "bool_parsing"),
            (["query", "c"], "enum"),
            (["query", "needed"], "missing"),
            (["query", "n", 1], "int_parsing"),
            (["query", "f"], "float_parsing"),
        ],
        method="GET",
        route="/x/{number}",
        path="/x/seven?b=perhaps&c=blue&n=1&n=x&f=",
    )


@pytest.mark.parametrize(
    ("hint", "sent", "expected"),
    [
        (Order, {"id": 1, "items": [{"sku": "a", "qty": 2}]}, "Order(id=1, items=[Item("),
        (Model, {"id": 1, "name": "ab"}, "Model(id=1, name='ab')"),
        (Struct, {"id": 1}, "Struct(id=1)"),
        (Typed, {"id": 1}, "{'id': 1}"),
        (Named, {"id": 1}, "Named(id=1, name='n')"),
        (dict, {"any": [1]}, "{'any': [1]}"),
        (dict[str, int], {"a": 1}, "{'a': 1}"),
        (list[Item], [{"sku": "a", "qty": 2}], "[Item(sku='a', qty=2)]"),
        (Order | None, None, "None"),
        (Model | Item, {"id": 1, "name": "ab"}, "Model(id=1"),
        (Model | Item, {"sku": "a", "qty": 1}, "Item(sku='a'"),
        (Any, [1, {"a": None}], "[1, {'a': None}]"),
        (None, [1], "[1]"),
    ],
)
def test_records_are_the_json_body(hint, sent, expected):
    async def take(value) -> str:
        return repr(value)

    if hint is not None:
        take.__annotations__["value"] = hint

    async def scenario(site: Site):
        await site.endpoint(take)
        reply = await site.post(sent)
        assert reply.status == 200, reply.body
        assert reply.json.startswith(expected)

    serve(scenario)


def test_a_type_deep_inside_is_named_by_its_path():
    wrong = {"id": 1, "items": [{"sku": "a", "qty": "2"}]}
    faults(body, [(["body", "items", 0, "qty"], "int_type")], json=wrong)
    faults(body, [(["body", "items", 0, "qty"], "missing")], json={"id": 1, "items": [{"sku": ""}]})
    faults(body, [(["body", "items"], "list_type")], json={"id": 1, "items": {}})
    faults(body, [(["body"], "dict_type")], json=[])


async def model(value: Model) -> str:
    return ""


@dataclass
class Mixed:
    models: list[Model]


async def mixed(value: Mixed) -> str:
    return ""


def test_pydantic_names_all_its_faults():
    expected = [(["body", "id"], "int_parsing"), (["body", "name"], "string_too_short")]
    faults(model, expected, json={"id": "x", "name": "a"})
    faults(
        mixed,
        [(["body", "models", 1, "name"], "string_too_short")]
        if _keeps_path()
        else [(["body", "models", "...", "name"], "string_too_short")],
        json={"models": [{"id": 1, "name": "ab"}, {"id": 1, "name": "a"}]},
    )


def _keeps_path() -> bool:
    try:
        msgspec.convert([1, "x"], list[int])
    except msgspec.ValidationError as error:
        return "$[1]" in str(error)
    return False


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        (b'{"id": nope}', 11),
        (b'{"id": 1', 8),
        (b"\xff\xfe", None),
        (b'{"id":1} trailing', 10),
        (b'{"deep":' + b"[" * 100_000, None),
        (b"<html>", 0),
    ],
)
def test_a_body_that_is_not_json_says_where(sent, at):
    async def scenario(site: Site):
        await site.endpoint(body)
        reply = await site.ask("POST", data=sent, headers={"Content-Type": "application/json"})
        assert reply.status == 422
        (one,) = reply.detail
        assert one["type"] == "json_invalid"
        assert one["loc"][0] == "body"
        assert at is None or one["loc"][1] == at
        assert one["msg"].startswith("JSON decode error")

    serve(scenario)


def test_an_empty_body():
    async def optional(order: Order | None = None) -> str:
        return repr(order)

    faults(body, [(["body"], "missing")])
    check(optional, "None", method="POST")


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "a/b+json", "broken"])
def test_another_content_type_is_tolerated_when_it_parses(kind):
    check(
        body,
        "Order(id=1, items=[], note=None)",
        method="POST",
        data=b'{"id":1}',
        headers={"Content-Type": kind},
    )


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-8", "UTF8", "cp1252"])
def test_other_charsets_are_read(charset):
    check(
        body,
        "Order(id=1, items=[], note='ü')",
        method="POST",
        data='{"id":1,"note":"ü"}'.encode(charset),
        headers={"Content-Type": f"application/json; charset={charset}"},
    )


def test_a_byte_order_mark_and_an_unknown_charset():
    check(body, "Order(id=1, items=[], note=None)", method="POST", data=b'\xef\xbb\xbf{"id":1}')

    async def scenario(site: Site):
        await site.endpoint(body)
        kind = {"Content-Type": "application/json; charset=klingon"}
        reply = await site.ask("POST", data=b"{}", headers=kind)
        assert reply.status == 415
        assert "klingon" in reply.detail
        kind = {"Content-Type": "application/json; charset=utf-16"}
        reply = await site.ask("POST", data=b"{}{", headers=kind)
        assert reply.status == 422

    serve(scenario)


def test_a_form_fills_a_record_and_multipart_is_refused():
    async def search(search: Search) -> str:
        return repr(search)

    expected = "Search(text='a b', limit=3, tags=['x', 'y'], since=None)"
    check(
        search,
        expected,
        method="POST",
        data=b"text=a+b&limit=3&tags=x&tags=y",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    async def scenario(site: Site):
        await site.endpoint(search)
        form = FormData(default_to_multipart=True)
        form.add_field("text", "a")
        reply = await site.ask("POST", data=form)
        assert reply.status == 415
        assert reply.detail == (
            "multipart bodies are not read here; send JSON or an urlencoded form"
        )

    serve(scenario)


def test_bytes_take_the_body_as_it_is():
    async def raw(data: bytes, name: str = "n") -> str:
        return f"{data!r} {name}"

    check(raw, "b'\\xff\\x00 {' m", method="PUT", path="/x?name=m", data=b"\xff\x00 {")
    check(raw, "b'' n", method="PUT")


def test_several_records_come_by_name():
    async def several(order: Order, item: Item | None = None, dry: bool = False) -> str:
        return f"{order.id} {item} {dry}"

    check(several, "1 None True", method="POST", path="/x?dry=1", json={"order": {"id": 1}})
    sent = {"order": {"id": 1}, "item": {"sku": "a", "qty": 1}}
    check(several, "1 Item(sku='a', qty=1) False", method="POST", json=sent)
    faults(
        several,
        [(["body", "order", "id"], "int_type"), (["body", "item", "qty"], "missing")],
        json={"order": {"id": "x"}, "item": {"sku": ""}},
    )
    faults(several, [(["body", "order"], "missing")])
    faults(several, [(["body"], "dict_type")], json=[1])


def test_get_makes_a_record_of_the_query_or_of_a_body():
    async def find(search: Search) -> str:
        return repr(search)

    expected = "Search(text='a', limit=3, tags=['x', 'y'], since=datetime.date(2024, 5, 6))"
    check(find, expected, path="/x?text=a&limit=3&tags=x&tags=y&since=2024-05-06&other=1")
    check(find, "Search(text='b', limit=10, tags=[], since=None)", json={"text": "b"})
    faults(find, [(["query", "limit"], "int_parsing")], method="GET", path="/x?text=a&limit=x")
    faults(find, [(["query", "text"], "missing")], method="GET")


def test_the_request_itself():
    async def whole(request: web.Request, n: int) -> str:
        assert isinstance(request, web.Request)
        return f"{request.method} {n} {request.headers['X-Y']} {await request.text()}"

    check(
        whole,
        "PUT 7 z é",
        method="PUT",
        route="/x/{n}",
        path="/x/7",
        data="é",
        headers={"X-Y": "z"},
    )


def test_the_request_beside_a_body_can_be_read_again():
    async def both(request: web.Request, order: Order) -> str:
        return f"{order.id} {await request.text()}"

    check(both, '1 {"id": 1}', method="POST", json={"id": 1})


def test_parameters_without_annotation():
    def bare(a, b="d", n=1):
        return [a, b, n]

    check(bare, [{"z": 1}, "q", 2], method="POST", path="/x?b=q&n=2", json={"z": 1})
    check(bare, ["t", "d", 1], path="/x?a=t")


def test_keyword_only_parameters():
    def named(*, a: int, b: int = 2) -> list[int]:
        return [a, b]

    def both(a: int, *, order: Order) -> int:
        return a + order.id

    check(named, [1, 2], path="/x?a=1")
    check(both, 3, method="POST", path="/x?a=1", json={"id": 2})


def test_constraints_of_pydantic_are_kept_outside_of_models():
    def few(n: Annotated[int, pydantic.Field(gt=0)]) -> int:
        return n

    check(few, 1, path="/x?n=1")
    faults(few, [(["query", "n"], "greater_than")], method="GET", path="/x?n=0")


def test_a_unicode_path_and_a_path_that_is_not_utf8():
    async def scenario(site: Site):
        await site.endpoint(_name, "/größe/{name}", "GET")
        assert (await site.get("/größe/ü€ %2F")).json == "ü€ /"
        head = b"GET /gr\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert b" 400 Bad Request\r\n" in await site.raw(head)
        head = b"GET /%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert (await site.raw(head)).startswith(b"HTTP/1.1 400 ")

    serve(scenario)


def _name(name: str) -> str:
    return name


def test_html_in_an_error_stays_json():
    async def scenario(site: Site):
        await site.endpoint(body)
        reply = await site.post({"id": "<script>alert(1)</script>"})
        assert reply.headers["Content-Type"] == "application/json"

    serve(scenario)


def plan(function: Callable[..., Any], route="/x", method="POST"):
    service = ServiceSpec("s", "/", ServiceOptions())
    return plan_binding(endpoint_spec(function, route, method, service))


def test_places_are_decided_by_annotation_and_method():
    def f(key, order: Order, q: str, n: list[int], request: web.Request):
        pass

    posted = {slot.name: slot.place for slot in plan(f, "/x/{key}").slots}
    assert posted == {
        "key": ParameterSource.PATH,
        "order": ParameterSource.BODY,
        "q": ParameterSource.QUERY,
        "n": ParameterSource.QUERY,
        "request": ParameterSource.REQUEST,
    }
    got = {slot.name: slot.place for slot in plan(f, "/x/{key}", "GET").slots}
    assert got["order"] is ParameterSource.FIELDS


def _odd(x: Odd):
    pass


def _inside(x: list[Odd]):
    pass


def _in_path(x: Order):
    pass


def _two(a: bytes, b: Order):
    pass


def _gives(x: int) -> Odd:
    return Odd(1, 2)


def _answer(x: web.Response):
    pass


@pytest.mark.parametrize(
    ("function", "route", "message"),
    [
        (_odd, "/x", "endpoint '_odd', parameter 'x': Odd cannot be read from a request"),
        (_inside, "/x", "endpoint '_inside', parameter 'x': "),
        (_in_path, "/{x}", "parameter 'x': Order cannot be read from the path"),
        (_two, "/x", "endpoint '_two': 'a', 'b' all take the body"),
        (_gives, "/x", "endpoint '_gives' returns Odd, and Odd cannot be written"),
        (_answer, "/x", "parameter 'x': Response is not what a request brings"),
    ],
)
def test_what_cannot_be_bound_is_refused_in_one_line(function, route, message):
    with pytest.raises(DeclarationError) as caught:
        plan(function, route)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
