"""Rows of text are converted by column to the very values that they are converted to one by one."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.text_rows import TextRows, column_converter, joined
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.io.files.csv import CsvFormat
from buildflow_nb.io.files.text_file import TextReader

SEED = 20261130


@dataclass
class Row:
    n: int
    x: float
    flag: bool
    name: str
    at: dt.datetime
    day: dt.date


@dataclass(frozen=True, slots=True)
class Loose:
    n: int | None
    x: float | None
    flag: bool | None
    name: str | None
    at: dt.datetime | None
    day: dt.date | None = None


FINE = {
    "n": ["0", "-1", "7", "12345678901234567890", "-0"],
    "x": ["0", "1.5", "-2e3", "1E-7", "123456789012345678901234567890"],
    "flag": ["true", "false", "1", "0"],
    "name": ["", "a", "ü🦆", "NA", "null", " a ", "1"],
    "at": ["2024-01-01T12:00:00", "2024-01-01T12:00:00Z", "2024-01-01 12:00:00+05:30"],
    "day": ["2024-02-29", "0001-01-01"],
}
ODD = [
    *(
        " 1",
        "1 ",
        "+1",
        "01",
        "1_0",
        "\uff11",
        "0x1",
        "1.0",
        "1e3",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
    ),
    *(
        "null",
        "None",
        "True",
        "yes",
        "",
        "NA",
        "2024-13-01",
        "1704110400",
        "12:00",
        "\0",
        "9" * 400,
    ),
]


def made(chance, odd):
    return [
        chance.choice(ODD if chance.random() < odd else FINE[name]) for name in Row.__annotations__
    ]


def outcome(decoder, raws):
    """What a consumer makes of them: all together, or else each by itself."""
    try:
        values = decoder.many(raws)
    except ConversionError:
        values = []
        for raw in raws:
            try:
                values.append(decoder.one(raw))
            except ConversionError as error:
                values.append(str(error))
    return [(type(value), repr(value)) for value in values]


@pytest.mark.parametrize("kind", [Row, Loose, Row | None])
@pytest.mark.parametrize("odd", [0.0, 0.02, 0.5])
def test_values_and_faults_are_the_same(kind, odd):
    chance = random.Random(f"{SEED}{kind}{odd}")  # noqa: S311
    decoder = compile_decoder(kind, Wire.ROW, "t")
    for _ in range(60):
        header = [*Row.__annotations__, "more"]
        order = chance.sample(range(7), 7)
        rows = [[*made(chance, odd), "x"] for _ in range(chance.randint(0, 12))]
        rows = [[row[i] for i in order] for row in rows]
        missing = frozenset(chance.choice([(), ("NA",), ("NA", "0")]))
        found = TextRows([header[i] for i in order], rows, missing)
        assert outcome(decoder, found) == outcome(decoder, list(found))


def test_what_is_fine_is_converted_by_column():
    rows = TextRows(
        list(FINE), [["1", "2", "true", "NA", "2024-01-01T00:00:00Z", "2024-01-01"]] * 2
    )
    found = column_converter(Row)(rows)
    assert found == compile_decoder(Row, Wire.ROW, "t").many(list(rows))
    assert vars(found[0]) == vars(found[1])
    blank = TextRows(list(FINE), [["NA", "", "", "NA", "", ""]], frozenset({"NA"}))
    assert column_converter(Loose)(blank) == [Loose(None, None, None, None, None, None)]
    assert column_converter(Row)(blank) is None


@dataclass
class Early:
    a: int = 1
    b: list[int] = field(default_factory=list)


@dataclass
class Checked:
    a: int

    def __post_init__(self) -> None:
        self.a += 1


@dataclass(kw_only=True)
class Named:
    a: int


@dataclass
class Own:
    a: int

    def __new__(cls, *_: object) -> Own:
        return super().__new__(cls)


@dataclass
class Set:
    a: int

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)


@dataclass
class Derived(Row):
    pass


class Inherits(Row):
    pass


class Model(pydantic.BaseModel):
    a: int


class Struct(msgspec.Struct):
    a: int


@dataclass
class Paid:
    a: Decimal


@dataclass
class Any_:
    a: Any


@pytest.mark.parametrize(
    "hint", [Early, Checked, Named, Own, Set, Inherits, Model, Struct, Paid, Any_, dict, None, int]
)
def test_types_that_are_more_than_plain_are_converted_row_by_row(hint):
    assert column_converter(hint) is None
    assert column_converter(Derived) is not None


def test_a_column_that_is_not_there_is_the_types_matter():
    @dataclass
    class Two:
        a: int
        b: int = 7

    decoder = compile_decoder(Two, Wire.ROW, "t")
    assert decoder.many(TextRows(["a"], [["1"]])) == [Two(1, 7)]
    with pytest.raises(ConversionError, match="missing required field"):
        decoder.many(TextRows(["b"], [["1"]]))


@pytest.mark.parametrize("hint", [dict, None, dict[str, str], Any])
def test_whoever_wants_dicts_gets_dicts(hint):
    rows = TextRows(["a"], [["1"], ["NA"]], frozenset({"NA"}))
    assert compile_decoder(hint, Wire.ROW, "t").many(rows) == [{"a": "1"}, {"a": ""}]


def test_rows_are_a_sequence_of_dicts():
    rows = TextRows(["a", "b"], [["1", "NA"], ["2", "x"], ["3", "y"]], frozenset({"NA"}))
    dicts = [{"a": "1", "b": ""}, {"a": "2", "b": "x"}, {"a": "3", "b": "y"}]
    assert (len(rows), rows[0], rows[-1], list(rows)) == (3, dicts[0], dicts[2], dicts)
    assert (rows[1:], rows[5:], repr(rows)) == (dicts[1:], [], repr(dicts))
    assert rows == dicts
    assert [*rows] == dicts


def test_rows_of_one_form_stay_rows_when_they_are_joined():
    one, two = TextRows(["a"], [["1"]]), TextRows(["a"], [["2"], ["3"]])
    assert type(joined([one, two])) is TextRows
    assert joined([one, two]) == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    others = [TextRows(["b"], [["2"]]), TextRows(["a"], [["2"]], frozenset({"x"})), [{"a": "2"}]]
    for other in others:
        assert type(joined([one, other])) is list
        assert joined([other, one]) == [*other, {"a": "1"}]


def test_odd_files_give_the_same_either_way(tmp_path, monkeypatch):
    chance = random.Random(SEED)  # noqa: S311
    bits = [
        "1",
        "2",
        "NA",
        '"',
        '""',
        ",",
        ",",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "ü",
        " ",
        '"a,b"',
        "\n\n",
    ]
    kept = compile_decoder(Pair, Wire.ROW, "t")
    monkeypatch.setattr("buildflow_nb.core.conversion.decode.column_converter", lambda _: None)
    plain = compile_decoder(Pair, Wire.ROW, "t")
    for number in range(300):
        body = "".join(chance.choices(bits, k=chance.randint(0, 30))).encode()
        if chance.random() < 0.2:
            body += b"\xff\n" + body
        if chance.random() < 0.5:  # a sound stretch before the odd one
            body = b"1,a\n2,b\n" * 20 + body
        path = tmp_path / f"{number}.csv"
        path.write_bytes(chance.choice([b"", b"\xef\xbb\xbf"]) + b"a,b\n" + body)
        reader = TextReader(str(path), CsvFormat(("NA",)))
        reader.open()
        while (batch := reader.read()) is not None:
            fits = not any(type(item) is Malformed for item in batch.items)
            assert fits or type(batch.items) is list
            assert outcome(kept, batch.items) == outcome(plain, list(batch.items))
            assert all(batch.origin(i) for i in range(len(batch.items)))
        reader.close()


@dataclass
class Pair:
    a: int | None
    b: str
