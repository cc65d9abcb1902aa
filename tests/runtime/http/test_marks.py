"""Marked parameters: where each comes from, its default, its bounds, and how faults are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import pydantic
import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.requests import (
    Body,
    Cookie,
    File,
    Form,
    Header,
    Path,
    Query,
    Request,
    UploadFile,
)
from tests.runtime.http.bound import check, faults
from tests.runtime.http.site import Site, serve


@dataclass
class Paging:
    limit: int = 10
    tags: list[str] = field(default_factory=list)


@dataclass
class Common:
    user_agent: str
    x_tag: list[str] = field(default_factory=list)


class Login(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2)
    age: int = 7


async def query(q: str = Query("none", alias="item-query", max_length=5)) -> str:
    return q


async def annotated(q: Annotated[int, Query(ge=3)] = 4) -> int:
    return q


async def several(q: list[int] = Query(default_factory=lambda: [1])) -> list[int]:
    return q


async def header(user_agent: str = Header(), x_token: Annotated[list[str], Header()] = []) -> str:  # noqa: B006
    return f"{user_agent} {x_token}"


async def plain_header(strange_name: str = Header(convert_underscores=False)) -> str:
    return strange_name


async def cookie(session: str = Cookie("none"), n: Annotated[int | None, Cookie()] = None) -> str:
    return f"{session} {n}"


async def cookies(values: Annotated[Paging, Cookie()]) -> str:
    return repr(values)


async def headers(values: Annotated[Common, Header()]) -> str:
    return repr(values)


async def paging(values: Annotated[Paging, Query()]) -> str:
    return repr(values)


async def path(item: Annotated[int, Path(gt=0, alias="id")]) -> int:
    return item


async def body(qty: int = Body()) -> int:
    return qty


async def text(words: str = Body()) -> str:
    return words


async def embedded(order: Annotated[Paging, Body(embed=True)]) -> str:
    return repr(order)


async def bounded(qty: int = Body(ge=1), n: int = Body(5, le=5)) -> int:
    return qty + n


async def form(name: str = Form(), tags: list[str] = Form([]), age: int = Form(3, ge=0)) -> str:
    return f"{name} {tags} {age}"


async def form_model(login: Annotated[Login, Form()]) -> str:
    return repr(login)


async def form_record(login: Annotated[Paging, Form()]) -> str:
    return repr(login)


def form_of(sent: bytes):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return {"method": "POST", "data": sent, "headers": kind}


def head(headers):
    return {"headers": headers}


def json_of(sent: bytes):
    return {"method": "POST", "data": sent}


def at(path: str, **words):
    return {"path": path, "method": "GET", **words}


@pytest.mark.parametrize(
    ("function", "expected", "words"),
    [
        (query, "none", {}),
        (query, "abc", {"path": "/x?item-query=abc"}),
        (annotated, 4, {}),
        (annotated, 3, {"path": "/x?q=3"}),
        (several, [1], {}),
        (several, [4, 5], {"path": "/x?q=4&q=5"}),
        (header, "me []", head({"User-Agent": "me"})),
        (header, "é ['1', '2']", head([("User-Agent", "é"), ("X-Token", "1"), ("X-Token", "2")])),
        (plain_header, "a", {"headers": {"strange_name": "a"}}),
        (cookie, "none None", {}),
        (cookie, "a b 3", {"headers": {"Cookie": 'session="a b"; n=3'}}),
        (cookies, "Paging(limit=3, tags=[])", {"headers": {"Cookie": "limit=3; x=1"}}),
        (headers, "Common(user_agent='me', x_tag=['1'])", head({"User-Agent": "me", "X-Tag": "1"})),
        (paging, "Paging(limit=2, tags=['a', 'b'])", {"path": "/x?limit=2&tags=a&tags=b"}),
        (path, 5, {"path": "/x/5", "route": "/x/{id}"}),
        (body, 5, json_of(b"5")),
        (text, "a\n", json_of(b'"a\\n"')),
        (embedded, "Paging(limit=1, tags=[])", json_of(b'{"order": {"limit": 1}}')),
        (bounded, 6, json_of(b'{"qty": 1}')),
        (form, "ann ['a', ''] 3", form_of(b"name=ann&tags=a&tags=&age=")),
        (form_model, "Login(name='ann', age=7)", form_of(b"name=ann&age=")),
        (form_record, "Paging(limit=2, tags=['a', 'b'])", form_of(b"limit=2&tags=a&tags=b")),
    ],
)  # fmt: skip
def test_a_marked_parameter_comes_from_where_it_says(function, expected, words):
    check(function, expected, **words)


@pytest.mark.parametrize(
    ("function", "expected", "words"),
    [
        (query, [(["query", "item-query"], "string_too_long")], at("/x?item-query=abcdef")),
        (annotated, [(["query", "q"], "greater_than_equal")], at("/x?q=1")),
        (annotated, [(["query", "q"], "int_parsing")], at("/x?q=a")),
        (plain_header, [(["header", "strange_name"], "missing")], {}),
        (cookie, [(["cookie", "n"], "int_parsing")], {"headers": {"Cookie": "n=a"}}),
        (headers, [(["header", "user_agent"], "missing")], {"skip_auto_headers": ["User-Agent"]}),
        (path, [(["path", "id"], "greater_than")], {"path": "/x/0", "route": "/x/{id}"}),
        (body, [(["body"], "missing")], {}),
        (bounded, [(["body", "qty"], "greater_than_equal"), (["body", "n"], "less_than_equal")],
            json_of(b'{"qty": 0, "n": 6}')),
        (form, [(["body", "name"], "missing")], {}),
        (form, [(["body", "name"], "missing"), (["body", "age"], "greater_than_equal")],
            form_of(b"name=&age=-1")),
        (form_model, [(["body", "name"], "string_too_short")], form_of(b"name=a")),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place(function, expected, words):
    faults(function, expected, **words)


async def two_marks(x: Annotated[int, Query()] = Header(1)) -> None: ...
async def default_inside(x: Annotated[int, Query(1)]) -> None: ...
async def body_and_form(order: Paging, name: str = Form()) -> None: ...
async def body_and_file(order: Paging, photo: UploadFile) -> None: ...
async def raw_and_form(order: bytes, name: str = Form()) -> None: ...
async def odd_file(photo: Annotated[str, File()]) -> None: ...
async def dict_form(x: Annotated[dict[str, int], Form()]) -> None: ...
async def no_path(x: int = Path()) -> None: ...
async def in_path(x: int = Query()) -> None: ...
async def upload(photo: UploadFile) -> None: ...


@pytest.mark.parametrize(
    ("function", "route", "method", "says"),
    [
        (two_marks, "/x", "GET", "'x' is marked with Query() and Header(); keep one"),
        (default_inside, "/x", "GET", "'x' has its default inside Annotated; write it after '='"),
        (body_and_form, "/x", "POST", "'order' come from the JSON body and 'name' from a form"),
        (body_and_file, "/x", "POST", "'order' come from the JSON body and 'photo' from a form"),
        (raw_and_form, "/x", "POST", "mark all of them with Form() or File()"),
        (odd_file, "/x", "POST", "a file is UploadFile or bytes, or a list, not str"),
        (dict_form, "/x", "POST", "cannot be read from the form"),
        (no_path, "/x", "GET", "marked with Path(), but the route does not name it"),
        (in_path, "/{x}", "GET", "is marked with Query(), but the route names it; use Path()"),
        (upload, "/x", "GET", "'photo' come from a form, and GET has no body; use POST"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_declared(function, route, method, says):
    async def scenario(site: Site):
        with pytest.raises(DeclarationError) as caught:
            site.spec(function, route, method)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert function.__name__ in str(caught.value)

    serve(scenario)


def test_a_request_comes_beside_other_parameters():
    async def both(request: Request, order: Paging, name: str = "n") -> list[object]:
        whole = await request.body()
        assert await request.json() == {"limit": 3}
        return [len(whole), order.limit, request.query_params["name"], request.method]

    check(both, [11, 3, "a", "POST"], path="/x?name=a", **json_of(b'{"limit":3}'))


def test_a_route_may_name_what_only_the_request_knows():
    async def told(request: Request) -> dict[str, str]:
        return request.path_params

    check(told, {"a": "1", "b": "2/3"}, path="/x/1/2/3", route="/x/{a}/{b:path}")


async def nothing_of_it(name: str, other: str) -> None: ...


def test_a_route_that_names_nothing_known_is_refused():
    async def scenario(site: Site):
        with pytest.raises(DeclarationError, match="names 'title', which is no parameter of it"):
            site.spec(nothing_of_it, "/{title}/{other}", "GET")

    serve(scenario)
