"""What a function returns is what the client gets; what fails inside it never is."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import math
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pydantic
import pytest
from aiohttp import web

from buildflow_nb.exceptions import HTTPException
from tests.runtime.http.site import Site, serve


@dataclass
class Priced:
    id: int
    total: float = 0.0


class Model(pydantic.BaseModel):
    id: int
    at: dt.datetime = pydantic.Field(default=dt.datetime(2024, 1, 1), alias="when")


class Measured(pydantic.BaseModel):
    v: float


class Struct(msgspec.Struct):
    id: int


class Pair(NamedTuple):
    a: int
    b: str


class Color(enum.Enum):
    RED = "red"


NO_FORM = "ConversionError: endpoint 'give' returned what has no JSON form: "
INSTEAD = "use None, or a format that has it (CSV, Parquet, DuckDB)"


class TeapotError(Exception):
    """In the manner of FastAPI's HTTPException."""

    status_code = 418

    def __init__(self):
        super().__init__()
        self.detail = {"reason": "teapot"}
        self.headers = {"X-Pot": "tea"}


def returning(value, hint=None, *, asynchronous=True):
    async def give():
        return value

    def give_sync():
        return value

    give_sync.__name__ = "give"
    function = give if asynchronous else give_sync
    if hint is not None:
        function.__annotations__["return"] = hint
    return function


def answers(function, status, expected, **headers):
    async def scenario(site: Site):
        unit = await site.endpoint(function, "/x", "GET")
        reply = await site.get()
        assert (reply.status, reply.json) == (status, expected)
        assert reply.headers["Content-Type"] == "application/json"
        assert headers.items() <= reply.headers.items()
        assert dict(unit.snapshot().codes) == {status: 1}

    serve(scenario)


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (Priced(1, 2.5), Priced, {"id": 1, "total": 2.5}),
        ([Priced(1)], list[Priced], [{"id": 1, "total": 0.0}]),
        (None, Priced | None, None),
        (Priced(1), Priced | None, {"id": 1, "total": 0.0}),
        (Struct(1), Struct, {"id": 1}),
        ([Struct(1)], list[Struct], [{"id": 1}]),
        (Pair(1, "b"), Pair, {"a": 1, "b": "b"}),
        ({"a": Priced(1)}, dict[str, Priced], {"a": {"id": 1, "total": 0.0}}),
        ("text", str, "text"),
        (None, type(None), None),
        (7, int, 7),
        (7, float, 7),
        (Color.RED, Color, "red"),
        (dt.datetime(2024, 5, 6, tzinfo=dt.UTC), dt.datetime, "2024-05-06T00:00:00Z"),
        (Decimal("1.50"), Decimal, "1.50"),
        (uuid.UUID(int=1), uuid.UUID, "00000000-0000-0000-0000-000000000001"),
        ({"any": [1, "two"]}, None, {"any": [1, "two"]}),
        ({"d": dt.date(2024, 1, 2)}, dict, {"d": "2024-01-02"}),
    ],
)
def test_results_become_json(value, hint, expected, asynchronous):
    answers(returning(value, hint, asynchronous=asynchronous), 200, expected)


def test_pydantic_models_are_written_by_pydantic():
    value = Model.model_validate({"id": 1, "when": dt.datetime(2024, 1, 1)})
    answers(returning(value, Model), 200, {"id": 1, "when": "2024-01-01T00:00:00"})


def test_bytes_go_out_as_they_are():
    async def scenario(site: Site):
        await site.endpoint(returning(b"\x00\xff", bytes), "/x", "GET")
        reply = await site.get()
        assert reply.body == b"\x00\xff"
        assert reply.headers["Content-Type"] == "application/octet-stream"

    serve(scenario)


def gen() -> Iterator[Priced]:
    yield Priced(1)
    yield Priced(2)


async def agen() -> AsyncIterator[Priced]:
    yield Priced(1)
    yield Priced(2)


def returns_a_generator():
    return (n * n for n in range(3))


_MIDDLE = "in the middle"


def broken_gen() -> Iterator[int]:
    yield 1
    raise ValueError(_MIDDLE)


def test_generators_become_lists():
    listed = [{"id": 1, "total": 0.0}, {"id": 2, "total": 0.0}]
    answers(gen, 200, listed)
    answers(agen, 200, listed)
    answers(returns_a_generator, 200, [0, 1, 4])


def failing(function, error: str):
    async def scenario(site: Site):
        unit = await site.endpoint(function, "/x", "GET")
        reply = await site.get()
        assert (reply.status, reply.json) == (500, {"detail": "Internal Server Error"})
        (failure,) = unit.ledger.failures
        assert failure.error == error
        assert failure.fate == "dropped"
        assert failure.origin == "GET /x"
        assert unit.snapshot().failed == 1
        again = await site.get()  # the server lives
        assert again.status == 500

    serve(scenario)


def wrong_gen() -> Iterator[Priced]:
    yield 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (returning(7, Priced), "ConversionError: endpoint 'give' returned int, not Priced"),
        (returning([1], list[Priced]), "ConversionError: endpoint 'give' returned int, not Priced"),
        (returning((), list[Priced]), "ConversionError: endpoint 'give' returned tuple, not list"),
        (returning(None, Priced), "ConversionError: endpoint 'give' returned NoneType, not Priced"),
        (
            returning("x", Priced | Struct),
            "ConversionError: endpoint 'give' returned str, not "
            "tests.runtime.http.test_response.Priced | tests.runtime.http.test_response.Struct",
        ),
        (wrong_gen, "ConversionError: endpoint 'wrong_gen' returned int, not Priced"),
        (broken_gen, "ValueError: in the middle"),
        (
            returning(object()),
            "ConversionError: endpoint 'give' returned what has no JSON form: "
            "object has no plain form",
        ),
        (returning([1.0, math.nan], list[float]), f"{NO_FORM}[1]: JSON has no NaN; {INSTEAD}"),
        (
            returning(Priced(1, -math.inf), Priced),
            f"{NO_FORM}total: JSON has no -Infinity; {INSTEAD}",
        ),
        (returning(Measured(v=math.inf), Measured), f"{NO_FORM}v: JSON has no Infinity; {INSTEAD}"),
        (returning({"a": Measured(v=math.nan)}), f"{NO_FORM}a.v: JSON has no NaN; {INSTEAD}"),
    ],
)
def test_a_result_of_another_type_is_a_failure(function, error):
    failing(function, error)


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ZeroDivisionError("secret"), "ZeroDivisionError: secret"),
        (SystemExit(3), "RuntimeError: SystemExit: 3"),
        (KeyboardInterrupt(), "RuntimeError: KeyboardInterrupt"),
        (GeneratorExit(), "RuntimeError: GeneratorExit"),
        (StopIteration(), "StopIteration"),
        (asyncio.CancelledError(), "CancelledError"),
        (TimeoutError("slow"), "TimeoutError: slow"),
    ],
)
def test_whatever_a_function_raises_costs_its_own_request(raised, error, asynchronous):
    async def give():
        raise raised

    def give_sync():
        raise raised

    async def scenario(site: Site):
        unit = await site.endpoint(give if asynchronous else give_sync, "/x", "GET")
        for _ in range(2):
            reply = await site.get()
            assert (reply.status, reply.json) == (500, {"detail": "Internal Server Error"})
        found = unit.ledger.failures[0]
        kind = type(raised).__name__
        assert found.error == error or kind in found.error
        assert "Traceback" in found.traceback
        assert unit.ledger.log.lines()[0].level == "ERROR"

    serve(scenario)


def raising(error):
    async def give():
        raise error

    return give


def test_http_errors_of_the_user_keep_their_status():
    answers(raising(web.HTTPNotFound()), 404, {"detail": "Not Found"})
    answers(raising(web.HTTPForbidden(reason="No entry")), 403, {"detail": "No entry"})
    answers(raising(web.HTTPConflict(text="taken")), 409, {"detail": "taken"})
    answers(raising(web.HTTPFound("/other")), 302, {"detail": "Found"}, Location="/other")
    answers(raising(HTTPException(403)), 403, {"detail": "Forbidden"})
    answers(raising(HTTPException(409, {"id": 1})), 409, {"detail": {"id": 1}})
    asked = HTTPException(401, "who?", headers={"WWW-Authenticate": "Bearer"})
    assert str(asked) == "401: who?"
    answers(raising(asked), 401, {"detail": "who?"}, **{"WWW-Authenticate": "Bearer"})
    answers(raising(TeapotError()), 418, {"detail": {"reason": "teapot"}}, **{"X-Pot": "tea"})


def test_http_errors_of_the_user_are_no_failures():
    async def scenario(site: Site):
        unit = await site.endpoint(raising(web.HTTPNotFound()), "/x", "GET")
        await site.get()
        assert not unit.ledger.failures

    serve(scenario)


async def own() -> web.Response:
    return web.Response(text="<p>own</p>", content_type="text/html", status=201)


async def streamed(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"in ")
    await response.write(b"pieces")
    return response


_KEPT = None


async def kept() -> web.Response:
    global _KEPT  # noqa: PLW0603
    _KEPT = _KEPT or web.Response(text="once")
    return _KEPT


def test_own_responses_pass_through():
    async def scenario(site: Site):
        await site.endpoint(own, "/own", "GET")
        await site.endpoint(streamed, "/streamed", "GET")
        unit = await site.endpoint(kept, "/kept", "GET")
        reply = await site.get("/own")
        assert (reply.status, reply.body) == (201, b"<p>own</p>")
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["Server"] == "buildflow"
        assert (await site.get("/streamed")).body == b"in pieces"
        assert (await site.get("/kept")).body == b"once"
        assert (await site.get("/kept")).status == 500
        assert "sent before" in unit.ledger.failures[0].error

    serve(scenario)


async def big() -> str:
    return "x" * 1_000_000


async def small() -> str:
    return "s"


def test_every_way_of_sending_gives_the_same():
    async def scenario(site: Site):
        await site.endpoint(big, "/big", "GET")
        await site.endpoint(small, "/small", "GET")
        assert len((await site.get("/big")).json) == 1_000_000
        head = await site.ask("HEAD", "/small")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "3")
        closed = await site.raw(b"GET /small HTTP/1.0\r\n\r\n")
        assert closed.startswith(b"HTTP/1.0 200 OK\r\n")
        assert closed.endswith(b'\r\n\r\n"s"')
        pipelined = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3
        pipelined += b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        found = await site.raw(pipelined)
        assert found.count(b"HTTP/1.1 200 OK\r\n") == 4
        assert found.count(b'\r\n\r\n"s"') == 4

    serve(scenario)
