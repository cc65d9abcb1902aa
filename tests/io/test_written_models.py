"""One thing is written of a model, by one spelling, in whatever it is written to."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

import duckdb
import msgspec
import pyarrow.parquet as pq
import pydantic
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from tests.io.contract import pulled, pushed


class Aliased(pydantic.BaseModel):
    user_id: int = pydantic.Field(alias="userId")
    note: str | None = None


class Renamed(msgspec.Struct, rename="camel"):
    user_id: int
    note: str | None = None


@pydantic.dataclasses.dataclass
class AliasedData:
    user_id: int = pydantic.Field(alias="userId")
    note: str | None = None


class Hidden(pydantic.BaseModel):
    id: int
    secret: str = pydantic.Field("s", exclude=True)


class Serialized(pydantic.BaseModel):
    id: int
    size: Annotated[int, pydantic.PlainSerializer(lambda v: f"{v} m", return_type=str)] = 1

    @pydantic.field_serializer("id")
    def _numbered(self, value: int) -> str:
        return f"#{value}"


class Computed(pydantic.BaseModel):
    id: int

    @pydantic.computed_field
    @property
    def twice(self) -> int:
        return 2 * self.id


class Open(pydantic.BaseModel, extra="allow"):
    id: int


class Whole(pydantic.BaseModel):
    id: int

    @pydantic.model_serializer
    def _whole(self) -> dict[str, Any]:
        return {"number": self.id}


class OneWay(pydantic.BaseModel):
    """Spellings that pydantic would write and not read again."""

    one: int = pydantic.Field(serialization_alias="uno")
    two: int = pydantic.Field(validation_alias="dos")
    three: int = pydantic.Field(validation_alias=pydantic.AliasChoices("tres", "trois"))


class Tagged(msgspec.Struct, tag="tagged"):
    id: int


@dataclass
class Holder:
    inner: Aliased
    many: list[Hidden] = field(default_factory=list)
    renamed: Renamed | None = None


class Outer(pydantic.BaseModel):
    inner: Serialized
    hidden: Hidden
    way: OneWay


SERIALIZED = {"id": "#1", "size": "1 m"}
ONE_WAY = {"one": 1, "dos": 2, "tres": 3}
CASES = [
    (Aliased(userId=1), {"userId": 1, "note": None}),
    (Renamed(1), {"userId": 1, "note": None}),
    (AliasedData(userId=1), {"userId": 1, "note": None}),
    (Hidden(id=1), {"id": 1}),
    (Serialized(id=1), SERIALIZED),
    (Computed(id=1), {"id": 1, "twice": 2}),
    (Open(id=1, more="x"), {"id": 1, "more": "x"}),
    (Whole(id=1), {"number": 1}),
    (OneWay.model_validate(ONE_WAY), ONE_WAY),
    (Tagged(1), {"type": "tagged", "id": 1}),
    (
        Holder(Aliased(userId=1), [Hidden(id=2)], Renamed(3)),
        {
            "inner": {"userId": 1, "note": None},
            "many": [{"id": 2}],
            "renamed": {"userId": 3, "note": None},
        },
    ),
    (
        Outer(inner=Serialized(id=1), hidden=Hidden(id=1), way=OneWay.model_validate(ONE_WAY)),
        {"inner": SERIALIZED, "hidden": {"id": 1}, "way": ONE_WAY},
    ),
]
cases = pytest.mark.parametrize(
    ("value", "expected"), CASES, ids=[type(value).__name__ for value, _ in CASES]
)
declared = pytest.mark.parametrize("declared", [True, False])
READABLE = (Aliased, Renamed, AliasedData, Hidden, Computed, Open, OneWay, Tagged, Holder)


def parsed(row, declared):
    """A row as it was meant: without a declared type, what is nested is JSON."""
    if declared:
        return row
    return {
        name: json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
        for name, value in row.items()
    }


def again(value, primitive):
    """What the same type reads."""
    decoder = compile_decoder(type(value), primitive.source_wire, "t")
    return [decoder.one(item) for item in pulled(primitive)]


@declared
@cases
def test_json_lines(tmp_path, value, expected, declared):
    file = File(tmp_path / "a.jsonl")
    pushed(file, [value, value], element=type(value) if declared else None)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [expected, expected]
    if isinstance(value, READABLE):
        assert again(value, file) == [value, value]


@declared
@cases
def test_parquet(tmp_path, value, expected, declared):
    file = File(tmp_path / "a.parquet")
    pushed(file, [value, value], element=type(value) if declared else None)
    found = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [parsed(row, declared) for row in found] == [expected, expected]
    if isinstance(value, READABLE):
        assert again(value, file) == [value, value]


@declared
@cases
def test_duckdb_tables(tmp_path, value, expected, declared):
    table = DuckDBTable(tmp_path / "a.duckdb", "t")
    pushed(table, [value, value], element=type(value) if declared else None)
    with duckdb.connect(str(tmp_path / "a.duckdb"), read_only=True) as connection:
        cursor = connection.execute("FROM t")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert [parsed(row, declared) for row in found] == [expected, expected]
    if isinstance(value, READABLE):
        assert again(value, table) == [value, value]


@declared
@cases
def test_csv(tmp_path, value, expected, declared):
    file = File(tmp_path / "a.csv")
    pushed(file, [value, value], element=type(value) if declared else None)
    with (tmp_path / "a.csv").open(newline="") as opened:
        (found, other) = csv.DictReader(opened)
    assert found == other
    assert list(found) == list(expected)
    for name, text in found.items():
        plain = expected[name]
        shown = "" if plain is None else plain if isinstance(plain, str) else None
        assert text == shown if shown is not None else json.loads(text) == plain
    if isinstance(value, READABLE):
        assert again(value, file) == [value, value]


@pytest.mark.parametrize("wire", [Wire.TEXT, Wire.BYTES, Wire.RECORD])
@cases
def test_queues_and_records(value, expected, wire):
    (sent,) = compile_encoder(type(value), wire, "f")([value])
    assert (sent if wire is Wire.RECORD else json.loads(sent)) == expected
    for many, shape in (([value], [expected]), ({"a": value}, {"a": expected})):
        (text,) = compile_encoder(None, Wire.TEXT, "f")([many])
        assert json.loads(text) == shape
    if isinstance(value, READABLE):
        assert compile_decoder(type(value), wire, "f").one(sent) == value


def test_an_empty_cell_of_an_aliased_field_is_none(tmp_path):
    (tmp_path / "a.csv").write_text("userId,note\n1,\n")
    assert again(Aliased(userId=1), File(tmp_path / "a.csv")) == [Aliased(userId=1)]
