"""Elements become one Arrow table by their type: values come back as they were, or are refused."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict

import msgspec
import pyarrow as pa
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.io.columns.arrow import JSON_MARK
from buildflow_nb.io.columns.arrow_rows import record_rows
from buildflow_nb.io.columns.element_columns import (
    Column,
    columns_given,
    columns_of,
    columns_seen,
)
from buildflow_nb.io.columns.kinds import PLAIN_KINDS, kind_of, list_kind, struct_kind

UTC, EAST = dt.UTC, dt.timezone(dt.timedelta(hours=5))
NOON = dt.datetime(2024, 1, 1, 12)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass
class Point:
    x: int
    label: str | None = None


@dataclass
class Place:
    name: str
    at: dt.datetime
    corners: list[Point]
    center: Point | None


def moment(value):
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def same(value):
    return value


_TEXT = st.text(st.characters(codec="utf-8"))
_INT64 = st.integers(-(2**63), 2**63 - 1)
_NAIVE = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1))
_ZONES = st.sampled_from([UTC, EAST, dt.timezone(dt.timedelta(hours=-9, minutes=-30))])
_MOMENTS = _NAIVE | st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=_ZONES)
_DECIMALS = st.decimals(-(10**28), 10**28, places=9)
_POINTS = st.builds(Point, _INT64, st.none() | _TEXT)
_PLACES = st.builds(Place, _TEXT, _MOMENTS, st.lists(_POINTS, max_size=3), st.none() | _POINTS)


def point(value):
    return None if value is None else {"x": value.x, "label": value.label}


def place(value):
    return {
        "name": value.name,
        "at": moment(value.at),
        "corners": [point(corner) for corner in value.corners],
        "center": point(value.center),
    }


Id = NewType("Id", int)
# A type, its word, values of it, and what is read of one.
TYPES = [
    (int, "int64", _INT64, same),
    (Id, "int64", _INT64, same),
    (Annotated[int, "pieces"], "int64", _INT64, same),
    (float, "double", st.floats(allow_nan=False), same),
    (int | float, "double", st.integers(-(2**53), 2**53), same),
    (bool, "bool", st.booleans(), same),
    (str, "string", _TEXT, same),
    (bytes, "binary", st.binary(), same),
    (bytearray, "binary", st.binary().map(bytearray), bytes),
    (dt.date, "date", st.dates(), same),
    (dt.time, "time", st.times(), same),
    (dt.datetime, "timestamptz", _MOMENTS, moment),
    (dt.timedelta, "duration", st.timedeltas(-dt.timedelta(10**8), dt.timedelta(10**8)), same),
    (Decimal, "decimal", _DECIMALS, same),
    (uuid.UUID, "uuid", st.uuids(), str),
    (Color, "string", st.sampled_from(Color), lambda value: value.value),
    (Size, "int64", st.sampled_from(Size), lambda value: value.value),
    (Literal["a", "b"], "string", st.sampled_from("ab"), same),
    (list[int], "list", st.lists(_INT64, max_size=4), same),
    (
        tuple[dt.datetime, ...],
        "list",
        st.lists(_MOMENTS, max_size=3).map(tuple),
        lambda value: [moment(each) for each in value],
    ),
    (frozenset[str], "list", st.frozensets(_TEXT, max_size=3), list),
    (
        list[list[Decimal | None]],
        "list",
        st.lists(st.lists(st.none() | _DECIMALS, max_size=3), max_size=3),
        same,
    ),
    (Point, "struct", _POINTS, point),
    (Place, "struct", _PLACES, place),
    (dict[str, int], "json", st.dictionaries(_TEXT, _INT64, max_size=3), same),
    (int | str, "json", _INT64 | _TEXT, same),
    (list[Any], "json", st.lists(_INT64 | _TEXT | st.none(), max_size=3), same),
]


@pytest.mark.parametrize(("hint", "word", "values", "read"), TYPES, ids=[str(t[0]) for t in TYPES])
def test_values_of_every_type_come_back(hint, word, values, read):
    kind = make_dataclass("Row", [("v", hint), ("w", hint | None)])
    columns = columns_of(kind)
    assert [(c.name, c.kind.word, c.optional) for c in columns.columns] == [
        ("v", word, False),
        ("w", word, True),
    ]

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(values, st.none() | values), max_size=5))
    def there_and_back(pairs):
        fitted = columns.fit([kind(*pair) for pair in pairs])
        assert fitted.table.schema.equals(columns.arrow, check_metadata=True)
        assert (list(fitted.kept), fitted.faults) == (list(range(len(pairs))), {})
        found = [row for b in fitted.table.to_batches() for row in record_rows(b, {})]
        assert found == [{"v": read(v), "w": None if w is None else read(w)} for v, w in pairs]

    there_and_back()


# A type, and what its column cannot hold, with the words of the refusal.
ODD = [
    (int, 1.5, "expected int, got 1.5"),
    (int, 2**63, "too large"),
    (int, -(2**63) - 1, "int too"),
    (int, Fraction(3, 2), "expected int"),
    (int, Decimal("1.5"), "expected int"),
    (int, Decimal("sNaN"), "expected int"),
    (int, math.nan, "expected int"),
    (int, "1", "Could not convert '1'"),
    (int, True, "got bool"),
    (int, None, "there is no value"),
    (float, 2**53 + 1, "outside of the range"),
    (float, "1", "Could not convert '1'"),
    (bool, 1, "Could not convert 1"),
    (str, 1, "got a 'int' object"),
    (str, "\ud800", "surrogates not allowed"),
    (bytes, 1, "got a 'int' object"),
    (dt.date, NOON, "more than a date"),
    (dt.date, 5, "expected"),
    (dt.time, dt.time(1, tzinfo=EAST), "has a zone"),
    (dt.time, 5, "expected"),
    (dt.datetime, 5, "expected"),
    (dt.datetime, "2024-01-01", "expected datetime, got '2024-01-01'"),
    (dt.datetime, dt.datetime(1, 1, 1, tzinfo=EAST), "out of range"),
    (dt.timedelta, 5, "expected"),
    (dt.timedelta, dt.timedelta.max, "too large"),
    (Decimal, Decimal("0.1234567891"), "data loss"),
    (Decimal, Decimal(10) ** 29, "does not fit"),
    (Decimal, Decimal("NaN"), "NaN"),
    (Decimal, Decimal("Infinity"), "Infinity"),
    (Decimal, 0.1, "int or Decimal object expected"),
    (uuid.UUID, "no", "badly formed"),
    (list[int], [1, None], "there is no value"),
    (list[int], "12", "expected a list, got str"),
    (list[int], {"a": 1}, "expected a list, got dict"),
    (list[int], [1, 1.5], "expected int, got 1.5"),
    (Point, {"x": 1, "y": 2}, "no field 'y' in the column"),
    (Point, {"label": "a"}, "field 'x': there is no value"),
    (Point, Point(None), "field 'x': there is no value"),  # type: ignore[arg-type]
    (list[Point], [Point(1), Point(None)], "field 'x': there is no value"),  # type: ignore[arg-type]
    (dict[str, Any], {"a": math.nan}, "JSON has no NaN"),
]
GOOD: dict[Any, Any] = {
    int: 1,
    float: 1.5,
    bool: True,
    str: "a",
    bytes: b"a",
    dt.date: NOON.date(),
    dt.time: NOON.time(),
    dt.datetime: NOON,
    dt.timedelta: dt.timedelta(1),
    Decimal: Decimal(1),
    uuid.UUID: uuid.UUID(int=1),
    list[int]: [1],
    Point: Point(1),
    list[Point]: [Point(1)],
    dict[str, Any]: {"a": 1},
}


@pytest.mark.parametrize(("hint", "odd", "words"), ODD, ids=[f"{o[0]} {o[1]!r}" for o in ODD])
def test_what_a_column_cannot_hold_is_found_exactly(hint, odd, words):
    kind = make_dataclass("Row", [("n", int), ("v", hint)])
    good = GOOD[hint]
    at = {3, 4, 17}
    items = [kind(i, odd if i in at else good) for i in range(20)]
    fitted = columns_of(kind).fit(items)
    assert set(fitted.faults) == at
    for error in fitted.faults.values():
        assert type(error) is ConversionError
        assert str(error).startswith("column 'v' (")
        assert words in str(error)
    assert (
        list(fitted.kept) == fitted.table["n"].to_pylist() == [i for i in range(20) if i not in at]
    )
    assert columns_of(kind).fit([items[3]]).table.num_rows == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["good", "n", "text", "read"]), max_size=60))
def test_any_mixture_of_faults(kinds):
    @dataclass
    class Row:
        at: int
        n: int
        text: str

    def made(i, kind):
        if kind == "read":
            return object()
        return Row(i, 0.5 if kind == "n" else 1, None if kind == "text" else "a")  # type: ignore[arg-type]

    fitted = columns_of(Row).fit([made(i, kind) for i, kind in enumerate(kinds)])
    assert list(fitted.kept) == [i for i, kind in enumerate(kinds) if kind == "good"]
    assert fitted.table["at"].to_pylist() == list(fitted.kept)
    assert list(fitted.faults) == [i for i, kind in enumerate(kinds) if kind != "good"]
    words = {"n": "'n'", "text": "'text'", "read": "no attribute"}
    assert all(words[kinds[i]] in str(error) for i, error in fitted.faults.items())


def test_nanoseconds_are_refused():
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")

    @dataclass
    class Row:
        at: dt.datetime
        n: int = 0

    fine = pandas.Timestamp("2024-01-01T12:00:00.000000001")
    items = [
        Row(NOON),
        Row(fine),
        Row(pandas.NaT),
        Row(numpy.datetime64("2024-01-01T12:00:00.000000001")),
        Row(pandas.Timestamp(NOON)),
    ]
    items.append(Row(NOON, numpy.float32(1.5)))
    fitted = columns_of(Row).fit(items)
    assert fitted.kept == [0, 4]
    words = ["has nanoseconds", "NaT is no time", "has nanoseconds", "expected int"]
    assert all(w in str(e) for w, e in zip(words, fitted.faults.values(), strict=True))


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    x: int = pydantic.Field(alias="ex")
    label: str | None = None


class Shape(msgspec.Struct, rename="upper"):
    x: int
    label: str | None = None


class Tagged(msgspec.Struct, tag="t", omit_defaults=True):
    x: int = 0


class Named(NamedTuple):
    x: int
    label: str | None = None


class Typed(TypedDict):
    x: int
    label: NotRequired[str]


class Loose(TypedDict, total=False):
    x: int


@pytest.mark.parametrize(
    ("item", "shown", "row"),
    [
        (Point(1), "x: int64, label: string | None", {"x": 1, "label": None}),
        (Model(x=1), "ex: int64, label: string | None", {"ex": 1, "label": None}),
        (Shape(1), "X: int64, LABEL: string | None", {"X": 1, "LABEL": None}),
        (Tagged(1), "type: string, x: int64 | None", {"type": "t", "x": 1}),
        (Named(1), "x: int64, label: string | None", {"x": 1, "label": None}),
        (1, "value: int64", {"value": 1}),
    ],
)
def test_types_that_say_their_columns(item, shown, row):
    columns = columns_of(type(item))
    assert repr(columns) == f"ElementColumns({shown})"
    assert columns.fit([item]).table.to_pylist() == [row]


def test_keys_of_a_dict_that_may_be_missing():
    assert repr(columns_of(Typed)) == "ElementColumns(x: int64, label: string | None)"
    assert columns_of(Typed).fit([{"x": 1}]).table.to_pylist() == [{"x": 1, "label": None}]
    assert "there is no value" in str(columns_of(Typed).fit([{"label": "a"}]).faults[0])
    assert columns_of(Loose).fit([{}]).table.to_pylist() == [{"x": None}]


@pytest.mark.parametrize("hint", [dict, Any, None, object, dict[str, int], list])
def test_types_that_say_no_columns(hint):
    assert columns_of(hint) is None


def test_a_type_without_fields():
    with pytest.raises(DeclarationError, match="Row has no fields"):
        columns_of(make_dataclass("Row", []))


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


def test_a_type_that_holds_itself_is_json_inside():
    columns = columns_of(Node)
    assert repr(columns) == "ElementColumns(name: string, children: json)"
    table = columns.fit([Node("a", [Node("b")])]).table
    assert json.loads(table["children"][0].as_py()) == [{"name": "b", "children": []}]
    assert table.schema.field("children").metadata == {JSON_MARK: b"1"}


def test_times_without_a_zone_may_stay_so():
    kind = make_dataclass("Row", [("at", dt.datetime)])
    columns = columns_of(kind, zoned=False)
    assert columns.arrow.field("at").type == pa.timestamp("us")
    assert "has a zone" in str(columns.fit([kind(NOON.replace(tzinfo=UTC))]).faults[0])


def test_the_schema_says_what_may_be_missing_inside():
    kind = make_dataclass("Row", [("points", list[Point]), ("numbers", list[int | None] | None)])
    points, numbers = columns_of(kind).arrow
    assert (points.nullable, numbers.nullable) == (False, True)
    item = points.type.value_field
    assert (item.nullable, numbers.type.value_field.nullable) == (False, True)
    assert [item.type.field(i).nullable for i in range(2)] == [False, True]
    assert columns_of(kind).fit([]).table.schema == columns_of(kind).arrow


def test_columns_of_elements_without_a_type():
    items = [{"a": 1, "at": NOON}, {"a": 0.5, "b": [1], "c": {"d": 1}}, object()]
    columns = columns_seen(items)
    assert repr(columns) == (
        "ElementColumns(a: double | None, at: timestamptz | None, b: list | None, c: json | None)"
    )
    fitted = columns.fit([*items, {"e": 1}])
    assert fitted.kept == [0, 1]
    assert "has no" in str(fitted.faults[2])
    assert "no column for field 'e'" in str(fitted.faults[3])
    with pytest.raises(ConversionError, match="no fields"):
        columns_seen([{}, object()])


def test_columns_of_a_table_that_is_there():
    columns = columns_given(
        [
            Column("n", PLAIN_KINDS["int64"], optional=False),
            Column("at", PLAIN_KINDS["timestamptz"], optional=True),
            Column("tags", list_kind(PLAIN_KINDS["string"]), optional=True),
            Column("p", struct_kind({"x": PLAIN_KINDS["double"]}), optional=True),
            Column("more", PLAIN_KINDS["json"], optional=True),
        ]
    )
    good = {"n": 1, "p": {"x": 0.5}, "tags": ["a"], "more": {"k": [1]}}
    fitted = columns.fit([good, {"at": NOON}, {"n": 2, "z": 1}, {"n": 3, "p": {"y": 1}}])
    assert fitted.table.to_pylist() == [{**good, "at": None, "more": '{"k":[1]}'}]
    assert [str(fitted.faults[i])[:19] for i in (1, 2, 3)] == [
        "column 'n' (int64):",
        "no column for field",
        "column 'p' (struct)",
    ]


def test_words():
    words = (
        "int64 double bool string binary date time timestamp timestamptz duration decimal uuid json"
    )
    assert set(PLAIN_KINDS) == set(words.split())
    assert all(kind.word == word for word, kind in PLAIN_KINDS.items())
    assert (kind_of(list[int]).word, kind_of(Point).word) == ("list", "struct")
