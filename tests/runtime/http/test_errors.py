"""Whatever a route's code and types raise is its own request's, and is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from pydantic_core import core_schema

from buildflow_nb.core.status.snapshot import State
from tests.fakes import FakeSink
from tests.runtime.http.site import serve


class UntellableError(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class UnsetError(Exception):
    def __str__(self) -> str:
        return self.never_set


class OwnBaseError(BaseException):
    pass


FAULTS = [
    UntellableError(),
    UnsetError(),
    OwnBaseError("own"),
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    StopAsyncIteration(),
    asyncio.CancelledError(),
    RecursionError("deep"),
    KeyError("k"),
]


@dataclass
class Order:
    id: int


BREAKS: list[BaseException] = []


@dataclass
class Fragile:
    id: int

    def __post_init__(self) -> None:
        if self.id == 13:
            raise BREAKS[-1]
        if self.id == 14:
            msg = "not that"
            raise ValueError(msg)


def names(fault: BaseException) -> str:
    return type(fault).__name__


@pytest.mark.parametrize("fault", FAULTS, ids=names)
@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("sink", [True, False])
def test_code_may_raise_anything(fault, sync, sink, capfd):
    def judge(order: Order) -> int:
        if order.id == 13:
            raise fault
        return order.id

    async def judge_async(order: Order) -> int:
        return judge(order)

    async def scenario(site):
        code, into = judge if sync else judge_async, FakeSink()
        unit = await (site.collector(code, into) if sink else site.endpoint(code))
        assert (await site.post({"id": 1})).status == 200
        answer = await site.post({"id": 13})
        assert (answer.status, answer.detail) == (500, "Internal Server Error")
        assert (await site.post({"id": 2})).status == 200
        (failed,) = unit.ledger.failures
        assert type(fault).__name__ in failed.error
        assert unit.ledger.state is State.RUNNING
        assert into.tape.pushed == ([1, 2] if sink else [])

    serve(scenario)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "fault", [KeyError("k"), ZeroDivisionError(), UntellableError(), SystemExit(2)], ids=names
)
def test_a_type_that_breaks_over_a_value_is_kept_and_one_that_refuses_it_is_not(fault, capfd):
    BREAKS.append(fault)

    async def judge(order: Fragile) -> int:
        return order.id

    async def scenario(site):
        unit = await site.collector(judge, FakeSink())
        assert [(await site.post({"id": n})).status for n in (1, 13, 14, 2)] == [200, 500, 422, 200]
        (failed,) = unit.ledger.failures
        assert failed.input == '{"id": 13}'

    serve(scenario)
    assert "Traceback" not in capfd.readouterr().err


class Odd:
    """What pydantic makes by a function that breaks."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        def make(value: str) -> int:
            return {"1": 1}[value]

        return core_schema.no_info_plain_validator_function(make)


def test_a_parameter_that_breaks_is_kept_too(capfd):
    async def judge(n: Odd) -> int:
        return n

    async def scenario(site):
        unit = await site.endpoint(judge, "/x/{n}", "GET")
        assert [(await site.get(f"/x/{n}")).status for n in (1, 13, 1)] == [200, 500, 200]
        (failed,) = unit.ledger.failures
        assert (failed.input, "KeyError" in failed.error) == ("/x/13", True)

    serve(scenario)
    assert "Traceback" not in capfd.readouterr().err
