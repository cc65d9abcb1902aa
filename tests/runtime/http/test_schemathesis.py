"""Whatever fits the OpenAPI document, or nearly does, is answered, and never with a 500."""

from __future__ import annotations

import datetime as dt
import enum
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

import hypothesis
import pydantic
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from buildflow_nb import Flow
from buildflow_nb.requests import Body, Cookie, File, Form, Header, Path, Query, Request, UploadFile
from buildflow_nb.responses import EventSourceResponse, Response
from tests.fakes import FakeSink

EXAMPLES = 15  # for each operation and way of making them


class Color(enum.Enum):
    RED = "red"


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
    kind: Literal["a", "b"] = "a"
    price: Decimal = Decimal(1)


class Login(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2, max_length=9)
    age: int | None = None


def declare(app: Flow) -> None:
    @app.endpoint(route="/orders/{number}", method="POST")
    async def orders(
        number: int, order: Order, color: Color | None = None, tags: list[int] | None = None
    ) -> Item:
        return Item(order.kind, number)

    @app.endpoint(route="/two/{day}/{rest:path}", method="PUT")
    def two(day: dt.date, rest: str, left: Item, right: list[Item]) -> list[Item]:
        return [left, *right]

    @app.endpoint(route="/find", method="GET")
    def find(item: Item, text: Annotated[str, Query(pattern="^a", alias="t")] = "a") -> str:
        return item.sku + text

    @app.endpoint(route="/marked/{item}", method="DELETE")
    def marked(
        item: Annotated[int, Path(ge=1)],
        x_token: list[str] = Header(),
        user: float = Cookie(1.0),
    ) -> list[str]:
        return x_token

    @app.endpoint(route="/body", method="PATCH")
    def body(qty: int = Body(gt=0), note: str = Body("n", embed=True)) -> int:
        return qty

    declare_more(app)


def declare_more(app: Flow) -> None:
    @app.endpoint(route="/login", method="POST")
    def login(login: Annotated[Login, Form()]) -> Login:
        return login

    @app.endpoint(route="/upload", method="POST")
    async def upload(
        photo: UploadFile, more: list[bytes] = File([]), title: str = Form(min_length=1)
    ) -> int:
        return len(await photo.read()) + sum(map(len, more)) + len(title)

    @app.endpoint(route="/raw", method="POST")
    def raw(data: bytes) -> bytes:
        return data

    @app.endpoint(route="/request", method="POST")
    async def request(request: Request) -> Response:
        form = await request.form()
        return Response(str(request.url) + "".join(form) + "".join(request.cookies))

    @app.endpoint(route="/events", method="GET")
    def events(last_event_id: str = Header("0")) -> EventSourceResponse:
        return EventSourceResponse([last_event_id, {"a": last_event_id}])

    @app.collector(route="/take", sink=FakeSink())
    def take(order: Order) -> Order:
        return order


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("flow"))
        flow = Flow("api")
        declare(flow)
        handle = flow.run(block=False, serve_port=0)
        yield flow
        handle.stop(drain=False, timeout=1)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_is_answered_with_a_500(app, mode):
    schema = schemathesis.openapi.from_url(f"{app.handle.address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(app.processors)
    for operation in operations:
        settings = hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )

        @settings
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            case.call_and_validate(checks=[not_a_server_error])

        with suppress(hypothesis.errors.Unsatisfiable):  # of any bytes, nothing is wrong
            ask()
    assert all(not app.failures(name) for name in app.processors)
