"""Element types that hold everything a column may hold."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic

from buildflow_nb.core.conversion.decode import compile_decoder


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Inner:
    x: int
    words: list[str]
    key: uuid.UUID
    colour: Colour | None = None


@dataclass
class Everything:
    number: int
    ratio: float
    name: str
    flag: bool
    at: dt.datetime
    zoned: dt.datetime
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    amount: Decimal
    key: uuid.UUID
    raw: bytes
    colour: Colour
    level: Level
    tags: list[str]
    pairs: tuple[int, int]
    counts: dict[str, int]
    inner: Inner
    inners: list[Inner]
    either: int | str
    note: str | None = None
    maybe: int | None = None
    later: dt.datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Point:
    x: int
    name: str


class PointStruct(msgspec.Struct):
    x: int
    name: str


class PointModel(pydantic.BaseModel):
    x: int
    name: str


class PointTuple(NamedTuple):
    x: int
    name: str


class PointDict(TypedDict):
    x: int
    name: str


POINT_TYPES = (Point, PointStruct, PointModel, PointTuple, PointDict)
UNTYPED = [{"x": 1, "name": "one"}, {"x": 2, "name": "zwei"}, {"x": 3, "name": "three"}]
UNTYPED_BAD = {"x": 4, "name": "\ud800"}  # a lone surrogate has no UTF-8
POINTS = [Point(1, "one"), Point(2, "zwei ü 数 🦆"), Point(3, 'three, "3"\nlines\r\n')]


def everything() -> list[Everything]:
    """Two elements: one with something in every field, one with as little as possible."""
    utc = dt.UTC
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    key = uuid.UUID("12345678-1234-5678-1234-567812345678")
    inner = Inner(7, ["a", "b,c"], key, Colour.GREEN)
    full = Everything(
        number=-(2**62),
        ratio=1e-300,
        name='quote " comma , ü 数 🦆\nline\ttab',
        flag=True,
        at=dt.datetime(2024, 2, 29, 23, 59, 59, 123456),
        zoned=dt.datetime(2024, 1, 1, 12, tzinfo=east),
        day=dt.date(1999, 12, 31),
        clock=dt.time(1, 2, 3, 4),
        span=dt.timedelta(days=40, seconds=5, microseconds=6),
        amount=Decimal("12345.678900001"),
        key=key,
        raw=b"\x00\xff'\n",
        colour=Colour.RED,
        level=Level.HIGH,
        tags=["x", "y\nz"],
        pairs=(1, 2),
        counts={"a": 1, "ü": 2},
        inner=inner,
        inners=[inner, Inner(8, [], key)],
        either="text",
        note="note",
        maybe=0,
        later=dt.datetime(2030, 1, 1, tzinfo=utc),
        extra={"list": [1, {"deep": None}]},
    )
    empty = Everything(
        number=0,
        ratio=-0.5,
        name="x",
        flag=False,
        at=dt.datetime(1970, 1, 1),
        zoned=dt.datetime(1970, 1, 1, tzinfo=utc),
        day=dt.date(2024, 1, 1),
        clock=dt.time(0),
        span=dt.timedelta(0),
        amount=Decimal(0),
        key=key,
        raw=b"",
        colour=Colour.GREEN,
        level=Level.LOW,
        tags=[],
        pairs=(0, 0),
        counts={},
        inner=Inner(0, [], key),
        inners=[],
        either=5,
    )
    return [full, empty]


def decoded(kind, primitive, items):
    """What a processor annotated with `kind` gets from these elements."""
    decoder = compile_decoder(kind, primitive.source_wire, "test")
    return [decoder.one(item) for item in items]
