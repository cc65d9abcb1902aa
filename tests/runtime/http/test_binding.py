"""Each parameter gets what its annotation asks for, and bad input a 422 that says where."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic
import pytest
from aiohttp import web

from buildflow_nb.core.declaring.declare import endpoint_spec
from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.declaring.http_binding import ParameterSource, plan_binding
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.options import ServiceOptions
from tests.runtime.http.bound import Color, Odd, Order, Search, body, check, faults
from tests.runtime.http.site import Site, serve


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
