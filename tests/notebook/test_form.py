"""Forms made from types, and the lines that they stand for."""

import enum
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from pydantic import BaseModel

from buildflow_nb.cockpit.views.form import Sent, fields_of, form_html, line_of, samples_of
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow import Flow
from buildflow_nb.io.local import Pulse
from tests.notebook.test_snapshot_view import read


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    id: int
    sku: str
    rate: float = 1.0
    rush: bool = False
    colour: Colour = Colour.RED
    size: Literal["S", "L"] = "S"
    tags: list[str] = field(default_factory=list)
    at: datetime | None = None


class Model(BaseModel):
    id: int
    note: str = "x"


class Struct(msgspec.Struct):
    id: int
    note: str = "x"


class Row(TypedDict):
    id: int


class Pair(NamedTuple):
    id: int
    note: str = "x"


@dataclass
class Card:
    id: int
    number: Annotated[str, Secret]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow()

    def of(kind):
        def code(element): ...

        code.__annotations__ = {"element": kind}
        flow.consumer(Pulse([1], 1))(code)
        return flow.processors["code"]

    return of


@pytest.mark.parametrize("kind", [Model, Struct, Pair])
def test_every_record_type_has_its_fields_and_knows_what_may_be_left_out(spec, kind):
    assert [(f.name, f.required) for f in fields_of(spec(kind))] == [("id", True), ("note", False)]


def test_a_typed_dict_and_a_plain_type_have_theirs(spec):
    assert [f.name for f in fields_of(spec(Row))] == ["id"]
    assert [f.name for f in fields_of(spec(int))] == ["element"]


def test_what_is_typed_becomes_the_line_of_send(spec):
    typed = {"id": "7", "sku": "B-17", "rate": "2.5", "rush": True, "colour": "blue"}
    typed |= {"size": "L", "tags": '["a"]', "at": "2026-01-01T00:00:00"}
    line, shown = line_of(spec(Order), typed)
    assert line == shown
    assert line.startswith("%buildflow send code {")
    assert json.loads(line.removeprefix("%buildflow send code ")) == {
        **typed,
        "id": 7,
        "rate": 2.5,
        "tags": ["a"],
    }


def test_what_is_left_empty_is_left_out_where_that_may_be(spec):
    line, _ = line_of(spec(Order), {"id": "1", "sku": "", "rate": "", "rush": False, "tags": ""})
    assert json.loads(line.removeprefix("%buildflow send code ")) == {
        "id": 1,
        "sku": "",
        "rush": False,
    }


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"sku": "x"}, "id: it is missing"),
        ({"id": "seven", "sku": "x"}, "id: 'seven' is no int; write it as JSON"),
        ({"id": "1", "sku": "x", "tags": "a, b"}, "tags: 'a, b' is no list"),
        ({"id": "1", "sku": "x", "tags": "[" * 5_000}, "is no list"),
    ],
)
def test_what_does_not_fit_names_its_field(spec, typed, said):
    with pytest.raises(UsageError, match=said):
        line_of(spec(Order), typed)


def test_a_plain_type_is_sent_as_it_is(spec):
    assert line_of(spec(int), {"element": "5"})[0] == "%buildflow send code 5"
    assert line_of(spec(str), {"element": "5"})[0] == '%buildflow send code "5"'


def test_a_secret_is_sent_but_neither_filled_nor_shown(spec):
    line, shown = line_of(spec(Card), {"id": "1", "number": "4111"})
    assert "4111" in line
    assert "4111" not in shown
    assert "****" in shown
    html = form_html(spec(Card), ['{"id": 1, "number": "4111"}'], "")
    (secret,) = [a for t, a in read(void(html)).tags if t == "input" and a["name"] == "number"]
    assert (secret["type"], secret["value"]) == ("password", "")


def void(html):
    """Inputs need no end; the reader of tests wants one."""
    return "".join(
        part if i == 0 else part.replace(">", "/>", 1)
        for i, part in enumerate(html.replace("<input", "\0<input").split("\0"))
    )


def test_the_form_has_a_labelled_field_for_each_and_is_filled_with_what_was_chosen(spec):
    samples = ['{"id": 1, "sku": "a"}', '{"id": 2, "sku": "<b>"}']
    page = read(void(form_html(spec(Order), samples, samples[1])))
    labels = {a["for"] for t, a in page.tags if t == "label" and "for" in a}
    fields = {a["id"]: a for t, a in page.tags if t in ("input", "select") and "id" in a}
    assert labels == set(fields)
    assert fields["bf-code-id"]["value"] == "2"
    assert fields["bf-code-sku"]["value"] == "<b>"
    chosen = [a["value"] for t, a in page.tags if t == "option" and "selected" in a]
    assert chosen == [samples[1], "", "", ""]  # the sample; what has a default is left to it


def test_what_has_a_default_is_left_out_untouched_and_shown_where_it_is_known(spec):
    sample = '{"id": 1, "sku": "a", "rush": true, "size": "L"}'
    html = form_html(spec(Order), [sample], "")
    tags = read(void(html)).tags
    assert [a["value"] for t, a in tags if t == "option" and "selected" in a] == [
        sample,
        "true",
        "",
        "L",
    ]
    untouched = {"id": "1", "sku": "a", "rush": "", "colour": "", "size": ""}
    line, _ = line_of(spec(Order), untouched)
    assert json.loads(line.removeprefix("%buildflow send code ")) == {"id": 1, "sku": "a"}
    line, _ = line_of(spec(Order), untouched | {"rush": "false"})
    assert '"rush": false' in line


def test_a_huge_element_is_no_sample(spec):
    assert samples_of(spec(Order), [], [Order(1, "x" * 100_000), Order(2, "y")]) == [
        samples_of(spec(Order), [], [Order(2, "y")])[0]
    ]


def test_elements_that_were_sent_come_first_and_each_once(spec):
    found = samples_of(spec(Order), ['{"id":9}'], [Order(1, "a"), {"id": 9}, object()])
    assert found[0] == '{"id":9}'
    assert len(found) == 2
    assert '"sku":"a"' in found[1]


def test_the_last_twenty_are_kept_newest_first():
    sent = Sent()
    for i in range(25):
        sent.add("price", str(i))
    sent.add("price", "20")
    assert sent.of("price")[:3] == ["20", "24", "23"]
    assert len(sent.of("price")) == 20
    assert sent.of("other") == []


@pytest.mark.parametrize("samples", [[], ['{"id":1,"sku":"plum"}'], ['{"id":9,"sku":"fig"}']])
def test_what_was_chosen_stays_whatever_else_there_is_to_choose_from(spec, samples):
    chosen = '{"id":9,"sku":"fig"}'
    tags = read(void(form_html(spec(Order), samples, chosen))).tags
    values = {a["name"]: a["value"] for t, a in tags if t == "input"}
    assert (values["id"], values["sku"]) == ("9", "fig")
    assert next(a["value"] for t, a in tags if t == "option" and "selected" in a) == chosen


def test_what_is_wrong_stands_at_its_field(spec):
    page = read(void(form_html(spec(Order), [], "", wrong={"sku": "it is <missing>"})))
    (sku,) = [a for t, a in page.tags if t == "input" and a["name"] == "sku"]
    assert sku["aria-invalid"] == "true"
    assert any(a.get("id") == sku["aria-describedby"] for _, a in page.tags)
    assert "it is <missing>" in page.text
    assert sum("aria-invalid" in a for _, a in page.tags) == 1
