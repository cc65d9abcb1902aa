"""Dataclasses of pydantic's are checked by pydantic, wherever they stand in a type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from typing_extensions import TypedDict

from buildflow_nb.cockpit.views.form import _with_defaults
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import json_bytes, to_record
from buildflow_nb.core.conversion.secret_nodes import with_fields
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.observability.tagged_json import tagged


@pydantic.dataclasses.dataclass
class Line:
    sku: str = pydantic.Field(min_length=2)
    qty: int = pydantic.Field(default=1, gt=0)


@dataclass
class Outer:
    line: Line


class Typed(TypedDict):
    line: Line


class Named(NamedTuple):
    line: Line


class Model(pydantic.BaseModel):
    line: Line


class Struct(msgspec.Struct):
    line: Line


@pydantic.dataclasses.dataclass
class Order:
    id: int = pydantic.Field(alias="ID")
    lines: list[Line] = pydantic.Field(default_factory=list)

    @pydantic.field_validator("id")
    @classmethod
    def more(cls, value: int) -> int:
        return value + 1


def alone(line):
    return line


def listed(line):
    return [line]


def keyed(line):
    return {"line": line}


HINTS = [
    (Line, alone, Line("ab")),
    (Annotated[Line, "mark"], alone, Line("ab")),
    (Line | None, alone, Line("ab")),
    (list[Line], listed, [Line("ab")]),
    (dict[str, Line], keyed, {"line": Line("ab")}),
    (dict[str, list[Line | None]], lambda line: {"a": [line]}, {"a": [Line("ab")]}),
    (Outer, keyed, Outer(Line("ab"))),
    (Typed, keyed, {"line": Line("ab")}),
    (Named, keyed, Named(Line("ab"))),
    (Model, keyed, Model(line=Line("ab"))),
]


def named(one: object) -> str:
    """The same in every process: a function's text has its address."""
    return str(getattr(one, "__name__", one))[:40]


@pytest.mark.parametrize("wire", [Wire.OBJECT, Wire.RECORD, Wire.JSON, Wire.TEXT])
@pytest.mark.parametrize(("hint", "around", "expected"), HINTS, ids=named)
def test_it_is_checked_and_has_its_defaults(hint, around, expected, wire):
    decoder = compile_decoder(hint, wire, "consumer 'x'")

    def raw(line):
        found = around(line)
        return json.dumps(found).encode() if wire in (Wire.JSON, Wire.TEXT) else found

    for found in (decoder.one(raw({"sku": "ab"})), *decoder.many([raw({"sku": "ab"})])):
        assert found == expected
        assert type(found) is type(expected)
    with pytest.raises(ConversionError, match="sku: string should have at least 2 characters"):
        decoder.one(raw({"sku": "a"}))


def test_inside_of_a_struct_it_is_refused():
    with pytest.raises(DeclarationError, match="'x': Struct cannot be converted"):
        compile_decoder(Struct, Wire.RECORD, "consumer 'x'")


def test_it_is_written_by_the_names_that_it_reads():
    raw = {"ID": 1, "lines": [{"sku": "ab"}]}
    found = compile_decoder(Order, Wire.RECORD, "x").one(raw)
    written = {"ID": 2, "lines": [{"sku": "ab", "qty": 1}]}
    assert to_record(found) == written
    assert json.loads(json_bytes(found)) == written
    assert tagged(found) == tagged(compile_decoder(Order, Wire.RECORD, "x").one(raw))
    assert "ID" in str(tagged(found))


def test_a_copy_with_other_fields_is_made_without_its_checks():
    found = with_fields(Line("ab"), {"sku": "*"}, lambda: None)
    assert type(found) is Line
    assert (found.sku, found.qty) == ("*", 1)


def test_the_form_knows_which_fields_may_be_left_out():
    assert _with_defaults(Line) == {"qty"}
    assert _with_defaults(Order) == {"lines"}
