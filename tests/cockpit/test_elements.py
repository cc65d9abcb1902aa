"""Elements as columns: their fields, whatever they are made of, and what became of each."""

from collections import namedtuple
from dataclasses import dataclass

import msgspec
import pydantic
import pytest

from buildflow_nb.cockpit.views.element_fields import fields_of_element, fields_table
from buildflow_nb.cockpit.views.elements_view import elements_html
from buildflow_nb.cockpit.views.failure_groups import BEFORE, place_of
from buildflow_nb.core.status.snapshot import Passage


@dataclass
class Plain:
    id: int
    item: str


class Struct(msgspec.Struct):
    id: int
    item: str


class Model(pydantic.BaseModel):
    id: int
    item: str


Pair = namedtuple("Pair", "id item")


@pytest.mark.parametrize(
    "element",
    [
        Plain(7, "Fig"),
        Struct(7, "Fig"),
        Model(id=7, item="Fig"),
        Pair(7, "Fig"),
        {"id": 7, "item": "Fig"},
        b'{"id": 7, "item": "Fig"}',
        '{"id": 7, "item": "Fig"}',
    ],
)
def test_an_element_has_a_column_for_each_field(element):
    assert fields_of_element(element) == {"id": 7, "item": "Fig"}


@pytest.mark.parametrize(
    "element", [7, "text", b"\xff\xfe", "{", "{}", '["a"]', '{"a": ' + "[" * 50_000, None]
)
def test_what_has_no_fields_is_one_column(element):
    assert fields_of_element(element) == {"": element}


def test_what_is_in_an_element_is_text_and_nothing_else():
    html = fields_table("x", {"<b>": "<script>alert(1)</script>"})
    assert "<script>" not in html
    assert "<b>&lt;" not in html


def test_what_was_written_dropped_and_found_is_told_apart():
    passed = [
        Passage(1.0, Plain(1, "Fig"), (Plain(1, "Fig"),), 0.001),
        Passage(2.0, Plain(2, "Plum"), (), 0.001),
    ]
    both = elements_html("price", passed, "all", "", sinks=True)
    assert both.index("Plum") < both.index("Fig")  # the newest first
    assert "written" in both
    assert "Plum" not in elements_html("price", passed, "written", "", sinks=True)
    assert "Plum" in elements_html("price", passed, "dropped", "", sinks=True)
    assert "Fig" not in elements_html("price", passed, "all", "plum", sinks=True)
    assert "nothing of that kind" in elements_html("price", passed, "failed", "", sinks=True)


HEAD = "Traceback (most recent call last):\n"
OF_A_PACKAGE = '  File "/x/site-packages/y.py", line 1, in g\n'


@pytest.mark.parametrize(
    ("frames", "place"),
    [
        ("  Cell In[5], line 4, in f\n", "cell [5] line 4"),
        ('  File "/a/shop.py", line 12, in f\n', "shop.py line 12"),
        (f"  Cell In[5], line 4, in f\n{OF_A_PACKAGE}", "cell [5] line 4"),
        ("", BEFORE),
    ],
)
def test_a_failure_is_where_the_persons_own_code_raised_it(frames, place):
    assert place_of(f"{HEAD}{frames}ValueError: no\n") == place
