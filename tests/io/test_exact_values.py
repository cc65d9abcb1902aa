"""Values are written as what they are, or refused: none is cut, and none becomes null."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder, json_bytes
from buildflow_nb.core.errors import ConversionError, PartialPushError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from tests.io.contract import pulled, pushed

EAST = dt.timezone(dt.timedelta(hours=5))
NOON = dt.datetime(2024, 1, 1, 12)


class Id(str):
    __slots__ = ()


class Count(int):
    pass


class Ratio(float):
    pass


class Money(Decimal):
    pass


class Noon(dt.datetime):
    pass


class Day(dt.date):
    pass


class Wait(dt.timedelta):
    pass


class Facts(dict):  # type: ignore[type-arg]
    pass


@dataclass
class Row:
    name: str
    count: int
    ratio: float
    money: Decimal
    at: dt.datetime
    day: dt.date
    wait: dt.timedelta
    facts: dict[str, int]


PLAIN = Row("a", 1, 0.5, Decimal("1.10"), NOON, NOON.date(), dt.timedelta(1), {"a": 1})
DERIVED = Row(
    Id("a"),
    Count(1),
    Ratio(0.5),
    Money("1.10"),
    Noon(2024, 1, 1, 12),
    Day(2024, 1, 1),
    Wait(1),
    Facts(a=1),
)


def place(folder, ending):
    if ending == "duckdb":
        return DuckDBTable(folder / "a.duckdb", "t")
    return File(folder / f"a.{ending}")


def through(folder, ending, *values, declared=True):
    """What the type reads of what was written."""
    kind = type(values[0])
    target = place(folder, ending)
    pushed(target, list(values), element=kind if declared else None)
    decoder = compile_decoder(kind, target.source_wire, "t")
    return list(decoder.many(pulled(target)))


endings = pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "duckdb"])


@endings
@pytest.mark.parametrize("declared", [True, False])
def test_a_value_of_a_subclass_is_written_as_its_base(tmp_path, ending, declared):
    (found,) = through(tmp_path, ending, DERIVED, declared=declared)
    assert found == PLAIN
    assert {type(value) for value in vars(found).values()} == {
        type(value) for value in vars(PLAIN).values()
    }


@endings
def test_values_of_pandas_and_numpy_are_written_as_their_base(tmp_path, ending):
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    row = Row(
        numpy.str_("a"),
        numpy.int64(1),
        numpy.float64(0.5),
        Decimal("1.10"),
        pandas.Timestamp("2024-01-01T12:00"),
        NOON.date(),
        pandas.Timedelta(1, "D"),
        {numpy.str_("a"): numpy.int64(1)},
    )
    assert through(tmp_path, ending, row) == [PLAIN]
    assert compile_encoder(Row, Wire.TEXT, "t")([row]) == compile_encoder(Row, Wire.TEXT, "t")(
        [PLAIN]
    )


@dataclass
class At:
    at: dt.datetime


@dataclass
class Wide:
    wait: dt.timedelta


@endings
def test_nanoseconds_are_refused_alone(tmp_path, ending):
    pandas = pytest.importorskip("pandas")
    fine = At(pandas.Timestamp("2024-01-01T12:00:00.000000001"))
    with pytest.raises(PartialPushError, match="has nanoseconds, and only microseconds") as caught:
        through(tmp_path, ending, At(NOON), fine, At(NOON))
    assert list(caught.value.failed) == [1]
    with pytest.raises(PartialPushError, match="NaT is no time; use None"):
        through(tmp_path, ending, At(pandas.NaT))
    with pytest.raises(PartialPushError, match="has nanoseconds"):
        pushed(place(tmp_path / "w", ending), [Wide(pandas.Timedelta(1, "ns"))], element=Wide)


def test_numpy_moments_are_exact_or_refused():
    numpy = pytest.importorskip("numpy")
    assert json_bytes({"a": numpy.datetime64("2024-01-01T12:00", "ns")}) == (
        b'{"a":"2024-01-01T12:00:00"}'
    )
    for odd in (
        numpy.datetime64("2024-01-01T12:00:00.000000001", "ns"),
        numpy.timedelta64(1, "ns"),
        numpy.datetime64("NaT"),
        numpy.array([5]),
        numpy.longdouble(1),
    ):
        with pytest.raises(ConversionError):
            json_bytes({"a": odd})


@dataclass
class Typed:
    at: dt.datetime | None = None
    day: dt.date | None = None
    clock: dt.time | None = None
    numbers: list[int] | None = None
    money: Decimal | None = None


@pytest.mark.parametrize("ending", ["parquet", "duckdb"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Typed(day=NOON), "is more than a date"),
        (Typed(clock=dt.time(1, tzinfo=EAST)), "has a zone, and the column's times have none"),
        (Typed(numbers=[1, 1.5]), "expected int, got 1.5"),  # type: ignore[list-item]
        (Typed(money=Decimal("0.1234567891")), "cause data loss"),
    ],
)
def test_what_a_column_would_cut_is_refused_alone(tmp_path, ending, value, words):
    good = Typed(NOON, NOON.date(), NOON.time(), [1], Decimal(1))
    with pytest.raises(PartialPushError, match=words) as caught:
        pushed(place(tmp_path, ending), [good, value, good], element=Typed)
    assert list(caught.value.failed) == [1]


@pytest.mark.parametrize("ending", ["parquet", "duckdb"])
def test_a_time_with_a_zone_does_not_lose_it_in_a_column_without(tmp_path, ending):
    with pytest.raises(PartialPushError, match="has a zone, and the column's times have none"):
        pushed(place(tmp_path, ending), [At(NOON)], [At(NOON.replace(tzinfo=EAST))], element=At)


@dataclass
class Measured:
    v: float
    note: str | None = None


class MeasuredModel(pydantic.BaseModel):
    v: float
    note: str | None = None


class Words(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(ser_json_inf_nan="strings")
    v: float


@dataclass
class Holder:
    inner: Any


NOT_JSON = [
    Measured(math.nan),
    Measured(math.inf),
    MeasuredModel(v=-math.inf),
    Holder(MeasuredModel(v=math.nan)),
    Holder([Measured(math.nan)]),
    Holder({"a": math.inf}),
    {"a": [math.nan]},
]


@pytest.mark.parametrize("value", NOT_JSON, ids=str)
def test_a_number_that_json_has_not_fails_alone(tmp_path, value):
    file = File(tmp_path / "a.jsonl")
    good = Measured(1.0)
    with pytest.raises(PartialPushError, match=r"JSON has no (NaN|-?Infinity)") as caught:
        pushed(file, [good, value, good])
    assert list(caught.value.failed) == [1]
    assert [json.loads(line)["v"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        1.0,
        1.0,
    ]
    for wire in (Wire.TEXT, Wire.BYTES):
        with pytest.raises(
            ConversionError, match=r"returned what cannot be written: .*JSON has no"
        ):
            compile_encoder(None, wire, "f")([value])


@pytest.mark.parametrize("ending", ["csv", "parquet", "duckdb"])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_tables_keep_such_numbers(tmp_path, ending, number):
    for i, kind in enumerate((Measured, MeasuredModel)):
        folder = tmp_path / str(i)
        folder.mkdir()
        (found,) = through(folder, ending, kind(v=number))
        assert repr(found.v) == repr(number)


def test_a_model_that_says_how_keeps_its_word_and_null_stays_null():
    assert json_bytes(Words(v=math.nan)) == b'{"v":"NaN"}'
    assert json_bytes(Measured(1.0)) == b'{"v":1.0,"note":null}'
    assert json_bytes({"null": "null", "a": None}) == b'{"null":"null","a":null}'


@pytest.mark.parametrize("number", ["12345678901234.5678", "1.10"])
def test_a_decimal_of_a_json_file_keeps_its_digits(tmp_path, number):
    @dataclass
    class Paid:
        amt: Decimal

    class PaidModel(pydantic.BaseModel):
        amt: Decimal

    (tmp_path / "a.jsonl").write_text(f'{{"amt":{number}}}\n')
    file = File(tmp_path / "a.jsonl")
    for kind in (Paid, PaidModel):
        (found,) = compile_decoder(kind, file.source_wire, "t").many(pulled(file))
        assert str(found.amt) == number
