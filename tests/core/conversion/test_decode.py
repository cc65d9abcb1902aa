"""Conversion: every kind of type, from every wire form, and what a person reads when it fails."""

from __future__ import annotations

import datetime as dt
import enum
import json
import traceback
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.core.primitive import Malformed, Wire

UTC = dt.UTC


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Inner:
    x: int


class Model(pydantic.BaseModel):
    x: int
    note: str | None = None


class Packed(msgspec.Struct):
    x: int


class Typed(TypedDict):
    x: int


class Named(NamedTuple):
    x: int
    y: str = "why"


@dataclass
class Everything:
    i: int
    f: float
    s: str
    b: bool
    raw: bytes
    when: dt.datetime
    day: dt.date
    clock: dt.time
    colour: Colour
    money: Decimal
    key: UUID
    maybe: int | None
    inner: Inner
    model: Model
    many: list[Inner]
    pair: tuple[int, str]
    few: set[int]
    table: dict[str, int]
    word: Literal["a", "b"] = "a"
    notes: list[str] = field(default_factory=list)


ALL = Everything(
    i=1,
    f=1.5,
    s="ü",
    b=True,
    raw=b"\x00\xff",
    when=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    day=dt.date(2026, 1, 2),
    clock=dt.time(3, 4),
    colour=Colour.RED,
    money=Decimal("1.10"),
    key=UUID(int=7),
    maybe=None,
    inner=Inner(1),
    model=Model(x=2),
    many=[Inner(3)],
    pair=(1, "a"),
    few={5},
    table={"k": 1},
)


@pytest.mark.parametrize("wire", [Wire.TEXT, Wire.BYTES])
def test_everything_survives_the_way_through_json(wire):
    sent = compile_encoder(Everything, wire, "here")([ALL])
    decoder = compile_decoder(Everything, wire, "here")
    assert decoder.many(sent) == [ALL]
    assert decoder.one(sent[0]) == ALL


def test_everything_survives_the_way_through_records():
    sent = compile_encoder(Everything, Wire.RECORD, "here")([ALL])
    assert sent[0]["when"] == ALL.when  # storable values stay what they are
    assert sent[0]["colour"] == "red"
    assert compile_decoder(Everything, Wire.RECORD, "here").many(sent) == [ALL]


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (int, 3, "3"),
        (float, 1.5, "1.5"),
        (str, "plain text", "plain text"),
        (bytes, b"plain", b"plain"),
        (bool, True, "true"),
        (dict, {"a": 1}, '{"a":1}'),
        (dict[str, int], {"a": 1}, '{"a":1}'),
        (list[int], [1, 2], "[1,2]"),
        (Inner, Inner(1), '{"x":1}'),
        (Model, Model(x=1), '{"x":1}'),
        (Packed, Packed(1), '{"x":1}'),
        (Typed, {"x": 1}, '{"x":1}'),
        (Named, Named(1), '{"x":1}'),
        (int | None, None, "null"),
        (Inner | None, Inner(1), '{"x":1}'),
        (Inner | Model, Inner(1), '{"x":1}'),
        (Colour, Colour.RED, '"red"'),
        (Decimal, Decimal("1.1"), '"1.1"'),
        (UUID, UUID(int=1), f'"{UUID(int=1)}"'),
        (dt.date, dt.date(2026, 1, 2), '"2026-01-02"'),
        (tuple[int, str], (1, "a"), '[1,"a"]'),
        (set[int], {1}, "[1]"),
    ],
)
def test_text_becomes_each_kind_of_type(hint, value, text):
    decoder = compile_decoder(hint, Wire.TEXT, "here")
    assert decoder.one(text) == value
    assert list(decoder.many([text, text])) == [value, value]


@pytest.mark.parametrize("hint", [Inner, Model, Packed, Typed, Named])
def test_rows_of_text_become_each_kind_of_record(hint):
    decoder = compile_decoder(hint, Wire.ROW, "here")
    first, second = decoder.many([{"x": "1"}, {"x": "2"}])
    assert (first, second) == (decoder.one({"x": "1"}), decoder.one({"x": "2"}))
    got = first["x"] if isinstance(first, dict) else first.x
    assert got == 1


@dataclass
class Row:
    n: int
    name: str
    delay: float | None
    when: dt.datetime
    tags: list[str] = field(default_factory=list)
    inner: Inner | None = None
    either: int | str = 0


def test_an_empty_cell_is_none_only_where_the_type_allows_it_and_nested_cells_are_json():
    decoder = compile_decoder(Row, Wire.ROW, "here")
    row = {
        "n": "1",
        "name": "",
        "delay": "",
        "when": "2013-01-01T10:00:00Z",
        "tags": '["a"]',
        "inner": "",
        "either": "abc",
    }
    expected = Row(1, "", None, dt.datetime(2013, 1, 1, 10, tzinfo=UTC), ["a"], None, "abc")
    assert decoder.many([row]) == [expected]
    assert decoder.one(row) == expected
    with pytest.raises(ConversionError, match=r"^n: expected int, got str ''$"):
        decoder.one({**row, "n": ""})


@pytest.mark.parametrize(
    ("hint", "wire", "raw", "message"),
    [
        (Row, Wire.ROW, {"n": "x"}, "n: expected int, got str 'x'"),
        (Inner, Wire.RECORD, {}, "object missing required field x"),
        (Everything, Wire.RECORD, {"i": "1"}, "i: expected int, got str '1'"),
        (Model, Wire.RECORD, {"x": "a"}, "x: input should be a valid integer"),
        (dict[str, Inner], Wire.RECORD, {"k": {"x": "a"}}, r"\[...\].x: expected int, got str"),
        (Inner, Wire.TEXT, "{", "^input data was truncated$"),
        (Inner, Wire.TEXT, "x", "^JSON is malformed: "),
        (int, Wire.TEXT, '"1"', "expected int, got str"),
    ],
)
def test_a_failed_conversion_names_the_path(hint, wire, raw, message):
    with pytest.raises(ConversionError, match=message):
        compile_decoder(hint, wire, "here").one(raw)


def test_objects_pass_as_they_are_and_plain_ones_are_converted():
    class Anything:
        pass

    it = Anything()
    assert compile_decoder(Anything, Wire.OBJECT, "here").one(it) is it
    decoder = compile_decoder(Inner, Wire.OBJECT, "here")
    inner = Inner(1)
    assert decoder.one(inner) is inner
    assert decoder.many([inner, {"x": 2}]) == [inner, Inner(2)]
    with pytest.raises(ConversionError):
        decoder.one("text")


def test_without_an_annotation_the_raw_form_passes_but_malformed_does_not():
    decoder = compile_decoder(None, Wire.TEXT, "here")
    assert decoder.many(["a"]) == ["a"]
    with pytest.raises(ConversionError, match="torn"):
        decoder.one(Malformed("x", "torn"))
    with pytest.raises(ConversionError):
        decoder.many(["a", Malformed("x", "torn")])


class Odd:
    pass


@dataclass
class HasOdd:
    odd: Odd


@pytest.mark.parametrize(
    ("hint", "wire", "message"),
    [
        (Odd, Wire.TEXT, "^consumer 'f', parameter 'x': Odd cannot be made from text; "),
        (HasOdd, Wire.TEXT, r"Odd \(inside HasOdd\) cannot be made from text"),
        (list[Odd], Wire.RECORD, r"Odd \(inside list\[.*Odd\]\) cannot be made from record"),
        (complex, Wire.BYTES, "complex cannot be made from bytes"),
        (str, Wire.ROW, "a row cannot become str; annotate with a dataclass"),
    ],
)
def test_a_type_that_cannot_be_converted_is_refused_in_one_line(hint, wire, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        compile_decoder(hint, wire, "consumer 'f', parameter 'x'")
    assert "\n" not in str(caught.value)


def test_own_conversions_of_a_class_are_used():
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

        @classmethod
        def from_string(cls, text: str) -> Point:
            return cls(int(text))

        def to_string(self) -> str:
            return str(self.x)

    point = compile_decoder(Point, Wire.TEXT, "here").one("7")
    assert point.x == 7
    assert compile_encoder(Point, Wire.TEXT, "here")([point]) == ["7"]


@pytest.mark.parametrize(
    ("wire", "element", "expected"),
    [
        (Wire.TEXT, "plain", "plain"),
        (Wire.TEXT, Inner(1), '{"x":1}'),
        (Wire.BYTES, b"raw", b"raw"),
        (Wire.BYTES, "plain", b"plain"),
        (Wire.BYTES, Model(x=1), b'{"x":1,"note":null}'),
        (Wire.RECORD, Named(1), {"x": 1, "y": "why"}),
        (Wire.RECORD, 5, {"value": 5}),
        (Wire.RECORD, {"a": Inner(1)}, {"a": {"x": 1}}),
        (Wire.OBJECT, Inner(1), Inner(1)),
    ],
)
def test_elements_take_the_form_of_the_sink(wire, element, expected):
    assert list(compile_encoder(None, wire, "here")([element])) == [expected]


def test_numpy_scalars_are_written_as_numbers():
    numpy = pytest.importorskip("numpy")
    record = compile_encoder(None, Wire.RECORD, "here")([{"n": numpy.float64(1.5)}])
    assert record == [{"n": 1.5}]


def test_a_return_type_that_cannot_be_written_is_refused_when_declared():
    with pytest.raises(DeclarationError, match="f returns Odd, and Odd cannot be written as text"):
        compile_encoder(Odd, Wire.TEXT, "f")
    assert compile_encoder(Odd, Wire.OBJECT, "f")([]) == []


def test_what_cannot_be_written_fails_when_it_is_returned():
    with pytest.raises(ConversionError, match="f returned what cannot be written: "):
        compile_encoder(None, Wire.RECORD, "f")([Odd()])
    with pytest.raises(ConversionError, match="f returned what cannot be written: list has no"):
        compile_encoder(None, Wire.RECORD, "f")([[1]])


@dataclass
class Login:
    word: Annotated[str, Secret]
    keys: list[Secret]
    qty: int = 1


class LoginModel(pydantic.BaseModel):
    word: Annotated[str, Secret]
    keys: list[Secret]
    qty: int = 1


@pytest.mark.parametrize("kind", [Login, LoginModel])
@pytest.mark.parametrize("wire", [Wire.RECORD, Wire.OBJECT, Wire.TEXT])
@pytest.mark.parametrize(
    "raw",
    [
        {"word": "Zq9word", "keys": "Zq9keys"},
        {"word": ["Zq9word"], "keys": ["Zq9keys"]},
        {"word": "Zq9word", "keys": [], "qty": "many"},
        {"word": 98765, "keys": ["Zq9keys"]},
    ],
)
def test_errors_quote_no_secrets_and_have_no_cause_that_does(kind, wire, raw):
    decoder = compile_decoder(kind, wire, "t")
    given = json.dumps(raw) if wire is Wire.TEXT else raw
    for convert, value in ((decoder.one, given), (decoder.many, [given])):
        with pytest.raises(ConversionError) as caught:
            convert(value)
        shown = "".join(traceback.format_exception(caught.value))
        assert not any(word in shown for word in ("Zq9", "input_value", "98765"))


def test_beside_secrets_values_are_quoted_still():
    decoder = compile_decoder(Login, Wire.RECORD, "t")
    with pytest.raises(ConversionError) as caught:
        decoder.one({"word": "w", "keys": [], "qty": "many"})
    assert str(caught.value) == "qty: expected int, got str 'many'"


@dataclass
class Summed:
    s: int
    maybe: int | None = None
    many: list[int] = field(default_factory=list)
    inner: Inner | None = None
    exact: int | Decimal = 0


class SummedStruct(msgspec.Struct, rename="upper"):
    s: int


SUM = Decimal("170141183460469231731687303715884105727")


@pytest.mark.parametrize("wire", [Wire.RECORD, Wire.OBJECT])
def test_a_whole_decimal_is_an_int_where_one_is_wanted(wire):
    def decoded(hint, raw):
        decoder = compile_decoder(hint, wire, "t")
        (found,) = decoder.many([raw])
        assert found == decoder.one(raw)
        return found

    assert decoded(Summed, {"s": Decimal(7)}) == Summed(7)
    assert decoded(Summed, {"s": SUM, "maybe": Decimal("2.000")}) == Summed(int(SUM), 2)
    assert decoded(Summed, {"s": 1, "many": [Decimal(1), 2]}) == Summed(1, None, [1, 2])
    assert decoded(Summed, {"s": 1, "inner": {"x": Decimal(3)}}) == Summed(1, inner=Inner(3))
    assert decoded(SummedStruct, {"S": Decimal(7)}) == SummedStruct(7)
    assert decoded(dict[str, int], {"s": Decimal(7)}) == {"s": 7}
    found = decoded(Summed, {"s": Decimal(7), "exact": Decimal("1.0")})
    assert type(found.s) is int
    assert str(found.exact) == "1.0"
    for odd in ("1.5", "NaN", "Infinity"):
        with pytest.raises(ConversionError, match="s: expected int, got decimal"):
            decoded(Summed, {"s": Decimal(odd)})
