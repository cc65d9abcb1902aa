"""For every type and every wire: what was written is read back as it was, or is refused.

Values are made from a seed, so that a failure can be repeated.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Optional

import attrs
import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.errors import ConversionError, DeclarationError, PartialPushError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.runtime.http.response import compile_answer
from tests.io.contract import pulled, pushed

SEED = 20_26
ROUNDS = 3
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):  # noqa: UP042
    YES = "yes"
    NO = "no"


@dataclass
class Inner:
    x: int
    words: list[str] = field(default_factory=list)
    qty: int = 1


class Struct(msgspec.Struct, rename="camel"):
    an_x: int
    at: dt.datetime | None = None


class Model(pydantic.BaseModel):
    an_x: int = pydantic.Field(alias="anX")
    amount: Decimal = Decimal(1)


@attrs.define
class Attrs:
    x: int
    name: str = "n"


class Typed(TypedDict):
    x: int
    name: str


class Named(NamedTuple):
    x: int
    name: str = "n"


Make = Callable[[random.Random], Any]


def text(r: random.Random) -> str:
    letters = "ab ,;\"'\n\r\tü数🦆\\{}[]0"
    return "".join(r.choice(letters) for _ in range(r.randrange(1, 9)))


def number(r: random.Random) -> float:
    return r.choice([0.0, -0.5, 1e-300, 1.7976931348623157e308, r.uniform(-1e6, 1e6), 0.1, 3.0])


def moment(r: random.Random) -> dt.datetime:
    return dt.datetime(r.randrange(1900, 2200), 2, 28, 23, 59, 59, r.randrange(10**6))


def span(r: random.Random) -> dt.timedelta:
    return dt.timedelta(r.randrange(-90, 90), r.randrange(86_400), r.randrange(10**6))


MAKERS: dict[str, tuple[Any, Make]] = {
    "int": (int, lambda r: r.choice([0, -(2**63), 2**63 - 1, r.randrange(1000)])),
    "float": (float, number),
    "special": (float, lambda r: r.choice([math.nan, math.inf, -math.inf])),
    "str": (str, text),
    "bool": (bool, lambda r: r.random() < 0.5),
    "bytes": (bytes, lambda r: r.randbytes(r.randrange(1, 6))),
    "optional": (Optional[int], lambda r: r.choice([None, 0, 7])),  # noqa: UP045
    "list": (list[int], lambda r: [r.randrange(9) for _ in range(r.randrange(3))]),
    "floats": (list[float], lambda r: [number(r)]),
    "texts": (list[str], lambda r: [text(r)]),
    "dicts": (list[dict[str, Any]], lambda r: [{"a": [text(r), None]}]),
    "table": (dict[str, int], lambda r: {text(r): 1}),
    "numbered": (dict[int, str], lambda r: {r.randrange(99): text(r)}),
    "tuple": (tuple[int, str], lambda r: (r.randrange(9), text(r))),
    "set": (set[int], lambda r: {r.randrange(9)}),
    "enum": (Colour, lambda r: r.choice(list(Colour))),
    "level": (Level, lambda r: r.choice(list(Level))),
    "word": (Word, lambda r: r.choice(list(Word))),
    "literal": (Literal["a", "b"], lambda r: r.choice("ab")),
    "decimal": (Decimal, lambda r: Decimal(r.randrange(-(10**12), 10**12)).scaleb(-r.randrange(9))),
    "fine": (Decimal, lambda r: Decimal(r.randrange(1, 10**14)).scaleb(-14)),
    "uuid": (uuid.UUID, lambda r: uuid.UUID(int=r.getrandbits(128))),
    "date": (dt.date, lambda r: moment(r).date()),
    "time": (dt.time, lambda r: moment(r).time()),
    "zoned_time": (dt.time, lambda r: moment(r).time().replace(tzinfo=EAST)),
    "moment": (dt.datetime, moment),
    "zoned": (dt.datetime, lambda r: moment(r).replace(tzinfo=r.choice([dt.UTC, EAST]))),
    "span": (dt.timedelta, span),
    "union": (int | str, lambda r: r.choice([5, "text"])),
    "any": (Any, lambda r: {"a": [r.randrange(9), None, text(r)]}),
    "inner": (Inner, lambda r: Inner(r.randrange(9), [text(r)])),
    "inners": (list[Inner], lambda r: [Inner(r.randrange(9))]),
    "struct": (Struct, lambda r: Struct(r.randrange(9), moment(r))),
    "model": (Model, lambda r: Model(anX=r.randrange(9), amount=Decimal("1.10"))),
    "attrs": (Attrs, lambda r: Attrs(r.randrange(9), text(r))),
    "typed": (Typed, lambda r: {"x": r.randrange(9), "name": text(r)}),
    "named": (Named, lambda r: Named(r.randrange(9), text(r))),
}
# What a form has no words for may be refused; it must never come back as something else.
MAY_REFUSE = {"special", "fine", "zoned_time", "attrs"}
PYDANTIC_REFUSES = {"bytes", "struct"}  # bytes that are no text, in JSON; what msgspec alone knows
TEXT_IN_CSV = {"union", "any"}  # a cell is text, and their type does not say what else it was


def as_dataclass(hint: Any) -> Any:
    return make_dataclass("Row", [("id", int), ("value", hint)])


def as_struct(hint: Any) -> Any:
    return msgspec.defstruct("Row", [("id", int), ("value", hint)])


def as_model(hint: Any) -> Any:
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    return pydantic.create_model("Row", __config__=config, id=(int, ...), value=(hint, ...))


def as_named(hint: Any) -> Any:
    return NamedTuple("Row", [("id", int), ("value", hint)])


def as_typed(hint: Any) -> Any:
    return TypedDict("Row", {"id": int, "value": hint})


RECORDS = [as_dataclass, as_model, as_named, as_struct, as_typed]


def queue(wire: Wire) -> Callable[[Any, list[Any], Any], list[Any]]:
    def through(hint: Any, values: list[Any], _folder: Any) -> list[Any]:
        sent = compile_encoder(hint, wire, "t")(values)
        return list(compile_decoder(hint, wire, "t").many(sent))

    return through


def answer(hint: Any, values: list[Any], _folder: Any) -> list[Any]:
    """What an endpoint answers, and a body of the same type reads."""
    give = compile_answer(hint, "t", many=False)
    decode = compile_decoder(hint, Wire.BYTES, "t").one
    return [decode(give(value).body) for value in values]


def file(ending: str) -> Callable[[Any, list[Any], Any], list[Any]]:
    def through(hint: Any, values: list[Any], folder: Any) -> list[Any]:
        place = (
            DuckDBTable(folder / "a.duckdb", "t")
            if ending == "duckdb"
            else File(folder / f"a.{ending}")
        )
        decoder = compile_decoder(hint, place.source_wire, "t")
        pushed(place, values, element=hint)
        return list(decoder.many(pulled(place)))

    return through


WIRES: dict[str, Callable[[Any, list[Any], Any], list[Any]]] = {
    "text": queue(Wire.TEXT),
    "bytes": queue(Wire.BYTES),
    "record": queue(Wire.RECORD),
    "answer": answer,
    "jsonl": file("jsonl"),
    "csv": file("csv"),
    "parquet": file("parquet"),
    "duckdb": file("duckdb"),
}


QUICK = ("text", "bytes", "record", "answer", "jsonl", "csv")


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


def parts(record: Any) -> tuple[Any, Any]:
    return (
        (record["id"], record["value"]) if isinstance(record, dict) else (record.id, record.value)
    )


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_written_is_read_back_or_refused(tmp_path, name, wire):
    if wire == "csv" and name in TEXT_IN_CSV:
        return
    hint, make = MAKERS[name]
    for number_, record in enumerate(RECORDS if wire in QUICK else RECORDS[:2]):
        r = random.Random(f"{SEED} {name} {wire} {number_}")  # noqa: S311
        kind = record(hint)
        values = [kind(id=i, value=make(r)) for i in range(ROUNDS)]
        folder = tmp_path / str(number_)
        folder.mkdir()
        try:
            found = WIRES[wire](kind, values, folder)
        except (ConversionError, DeclarationError, PartialPushError) as error:
            refused = str(error)
        else:
            refused = ""
        if refused:
            known = MAY_REFUSE | (PYDANTIC_REFUSES if record is as_model else set())
            assert name in known, f"{record.__name__}: {refused}"
            assert "\n" not in refused
            continue
        assert [parts(one)[0] for one in found] == list(range(ROUNDS))
        for value, one in zip(values, found, strict=True):
            assert same(parts(value)[1], parts(one)[1]), f"{record.__name__}: {value} -> {one}"
