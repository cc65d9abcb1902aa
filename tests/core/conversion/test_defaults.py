"""A default that the input leaves out is there, in `vars` and in whatever is written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import json_bytes, to_record
from buildflow_nb.core.primitive import Wire

T = TypeVar("T")


@dataclass
class Order:
    id: int
    qty: int = 1
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    id: int
    qty: int = 1


@dataclass(kw_only=True)
class Worded:
    qty: int = 1
    id: int


@dataclass
class Inherited(Order):
    note: str = "n"


@dataclass
class After:
    id: int
    qty: int = 1
    twice: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.extra = "more"
        self.twice = 2 * self.id


@dataclass(slots=True)
class Slotted:
    id: int
    qty: int = 1


@dataclass
class Box(Generic[T]):
    inner: T
    qty: int = 1


@dataclass
class Tree:
    id: int
    left: Tree | None = None
    others: list[Tree] = field(default_factory=list)
    qty: int = 1


class Struct(msgspec.Struct):
    order: Order


class Named(NamedTuple):
    order: Order
    qty: int = 1


class Typed(TypedDict, total=False):
    order: Order


class Model(pydantic.BaseModel):
    order: Order


@pydantic.dataclasses.dataclass
class PydanticOrder:
    id: int
    qty: int = 1


@dataclass
class Holder:
    one: Order
    maybe: Order | None
    many: list[Order]
    table: dict[str, Order]
    pair: tuple[int, Order]
    either: Order | int
    model: Model
    foreign: PydanticOrder
    nothing: Order | None = None


ORDER = {"id": 1}
WHOLE = {"id": 1, "qty": 1, "tags": []}
CASES: list[tuple[Any, Any, Any]] = [
    (Order, ORDER, WHOLE),
    (Frozen, ORDER, {"id": 1, "qty": 1}),
    (Worded, ORDER, {"id": 1, "qty": 1}),
    (Inherited, ORDER, {**WHOLE, "note": "n"}),
    (Slotted, ORDER, {"id": 1, "qty": 1}),
    (Order | None, ORDER, WHOLE),
    (list[Order], [ORDER], [WHOLE]),
    (dict[str, Order], {"a": ORDER}, {"a": WHOLE}),
    (Box[Order], {"inner": ORDER}, {"inner": WHOLE, "qty": 1}),
    (Box[int], {"inner": 1}, {"inner": 1, "qty": 1}),
    (
        Tree,
        {"id": 1, "left": {"id": 2}, "others": [{"id": 3}]},
        {
            "id": 1,
            "left": {"id": 2, "left": None, "others": [], "qty": 1},
            "others": [{"id": 3, "left": None, "others": [], "qty": 1}],
            "qty": 1,
        },
    ),
    (Struct, {"order": ORDER}, {"order": WHOLE}),
    (Named, {"order": ORDER}, {"order": WHOLE, "qty": 1}),
    (Typed, {"order": ORDER}, {"order": WHOLE}),
    (Typed, {}, {}),
    (Model, {"order": ORDER}, {"order": WHOLE}),
    (PydanticOrder, ORDER, {"id": 1, "qty": 1}),
    (Order | Frozen, {"id": 1, "tags": ["a"]}, {"id": 1, "qty": 1, "tags": ["a"]}),
    (
        Holder,
        {
            "one": ORDER,
            "maybe": ORDER,
            "many": [ORDER, ORDER],
            "table": {"a": ORDER},
            "pair": [1, ORDER],
            "either": ORDER,
            "model": {"order": ORDER},
            "foreign": ORDER,
        },
        {
            "one": WHOLE,
            "maybe": WHOLE,
            "many": [WHOLE, WHOLE],
            "table": {"a": WHOLE},
            "pair": [1, WHOLE],
            "either": WHOLE,
            "model": {"order": WHOLE},
            "foreign": {"id": 1, "qty": 1},
            "nothing": None,
        },
    ),
]


@pytest.mark.parametrize(("hint", "given", "whole"), CASES, ids=lambda one: str(one)[:30])
@pytest.mark.parametrize("wire", [Wire.JSON, Wire.TEXT, Wire.BYTES, Wire.RECORD, Wire.OBJECT])
def test_a_default_that_is_left_out_is_written(hint, given, whole, wire):
    raw: Any = given
    if wire in (Wire.JSON, Wire.BYTES):
        raw = json.dumps(given).encode()
    elif wire is Wire.TEXT:
        raw = json.dumps(given)
    decoder = compile_decoder(hint, wire, "t")
    for found in (decoder.one(raw), *decoder.many([raw, raw])):
        assert json.loads(json_bytes(found)) == whole
        if isinstance(whole, dict):
            assert to_record(found).keys() == whole.keys()


def test_a_row_has_its_defaults():
    found = compile_decoder(Order, Wire.ROW, "t").many([{"id": "1"}])[0]
    assert vars(found) == WHOLE


def test_what_comes_after_the_fields_is_kept():
    decoder = compile_decoder(After, Wire.JSON, "t")
    for found in (decoder.one(b'{"id":1}'), *decoder.many([b'{"id":1}'])):
        assert vars(found) == {"id": 1, "qty": 1, "twice": 2, "extra": "more"}


def test_what_was_given_is_not_replaced():
    found = compile_decoder(Order, Wire.JSON, "t").one(b'{"id":1,"qty":5}')
    assert vars(found) == {"id": 1, "qty": 5, "tags": []}
