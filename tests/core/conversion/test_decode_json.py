"""JSON as it lies in files and messages, decoded straight into the declared type."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.runtime.observability.redaction import redaction_of
from tests.fakes import FakeSink, FakeSource


@dataclass
class Paid:
    amt: Decimal
    other: Any = None


class PaidStruct(msgspec.Struct):
    amt: Decimal
    other: Any = None


class PaidModel(pydantic.BaseModel):
    amt: Decimal
    other: Any = None


class PaidTuple(NamedTuple):
    amt: Decimal
    other: Any = None


class PaidDict(TypedDict):
    amt: Decimal


@dataclass
class Holder:
    paid: PaidModel


PAID = (Paid, PaidStruct, PaidModel, PaidTuple)


@pytest.mark.parametrize("wire", [Wire.JSON, Wire.TEXT, Wire.BYTES])
@pytest.mark.parametrize("number", ["12345678901234.5678", "1.10", "1e-30", "0.1", "7", "100.00"])
def test_a_number_for_a_decimal_keeps_its_digits(wire, number):
    def raw(text):
        return text if wire is Wire.TEXT else text.encode()

    for kind in PAID:
        found = compile_decoder(kind, wire, "t").one(raw(f'{{"amt":{number},"other":1.5}}'))
        assert (str(found.amt), found.other) == (str(Decimal(number)), 1.5)
    found = compile_decoder(PaidDict, wire, "t").one(raw(f'{{"amt":{number}}}'))
    assert str(found["amt"]) == str(Decimal(number))
    found = compile_decoder(list[Decimal], wire, "t").one(raw(f"[{number}]"))
    assert str(found[0]) == str(Decimal(number))
    found = compile_decoder(Holder, wire, "t").one(raw(f'{{"paid":{{"amt":{number}}}}}'))
    assert str(found.paid.amt) == str(Decimal(number))


@pytest.mark.parametrize(
    ("hint", "raw", "value"),
    [
        (None, b'{"a": [1, null]}', {"a": [1, None]}),
        (Any, b'"text"', "text"),
        (dict, b'{"a":1}', {"a": 1}),
        (str, b'"text"\n', "text"),
        (str | None, b"null", None),
        (bytes, b'"AP8="', b"\x00\xff"),
        (int, b"3", 3),
        (dict[int, int], b'{"1":2}', {1: 2}),
        (PaidTuple, b'["1.5", 2]', PaidTuple(Decimal("1.5"), 2)),
        (PaidTuple | None, b"null", None),
        (dt.date, b'"2026-01-02"', dt.date(2026, 1, 2)),
        (Paid | PaidModel, b'{"amt":"1"}', Paid(Decimal(1))),
    ],
)
def test_json_becomes_each_kind_of_type(hint, raw, value):
    decoder = compile_decoder(hint, Wire.JSON, "t")
    assert decoder.one(raw) == value
    assert list(decoder.many([raw, raw])) == [value, value]


@pytest.mark.parametrize(
    ("hint", "raw", "message"),
    [
        (str, b"3", "^expected str, got int$"),
        (str, b'{"a":1}', "^expected str, got object$"),
        (Paid, b'{"amt":"x"}', "amt: "),
        (Paid, b'{"amt":1}{"amt":2}', "malformed"),
        (Paid, b"1 2", "malformed|expected"),
        (Paid, b"", "truncated"),
        (dict[str, int], b'{"a":"x"}', "expected int, got str"),
        (None, b"{", "truncated"),
        (None, b'{"a":"\\ud800"}', r"^a text holds half a character, \\ud800 to \\udbff without"),
        (str, b'"\\udbffx"', "^a text holds half a character"),
        (Paid, b'{"amt":"\\ud800', "truncated"),
    ],
)
def test_what_is_no_such_json_fails_alone(hint, raw, message):
    decoder = compile_decoder(hint, Wire.JSON, "t")
    with pytest.raises(ConversionError, match=message):
        decoder.one(raw)
    with pytest.raises(ConversionError):
        decoder.many([raw])


def test_a_value_that_does_not_fit_is_quoted():
    @dataclass
    class Row:
        id: int

    with pytest.raises(ConversionError) as caught:
        compile_decoder(Row, Wire.JSON, "t").one(b'{"id":"x"}')
    assert str(caught.value) == "id: expected int, got str 'x'"


def test_malformed_elements_fail_with_their_reason():
    decoder = compile_decoder(None, Wire.JSON, "t")
    with pytest.raises(ConversionError, match="torn"):
        decoder.one(Malformed(b"{", "torn"))
    with pytest.raises(ConversionError):
        decoder.many([b"1", Malformed(b"{", "torn")])


@dataclass
class Login:
    name: str
    word: Annotated[str, Secret]


def test_elements_are_shown_as_values_and_malformed_ones_as_they_are():
    def take(p: Paid) -> None: ...

    def login(x: Login) -> None: ...

    source = FakeSource([], source_wire=Wire.JSON)
    views = redaction_of(consumer_spec(take, source, FakeSink(), {}))
    assert views.raw(b'{"amt":1.5,"other":[2]}') == {"amt": 1.5, "other": [2]}
    shown = views.raw(b'{"amt":12345678901234.5678}')
    assert shown == {"amt": Decimal("12345678901234.5678")}
    torn = Malformed(b"{", "torn")
    assert views.raw(torn) is torn
    assert views.raw(b"{") == b"{"
    views = redaction_of(consumer_spec(login, source, FakeSink(), {}))
    assert views.raw(b'{"name":"a","word":"Zq9"}') == Login("a", "****")
    assert "Zq9" not in repr(views.raw(b'{"name":1,"word":"Zq9"}'))
    assert views.text("no Zq9", b'{"name":1,"word":"Zq9"}') == "no ****"
