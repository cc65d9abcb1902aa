"""The page of a resource, and its text: pure functions of a look."""

from __future__ import annotations

import re

import pytest

from buildflow_nb.cockpit.views.resource_list import ResourceList
from buildflow_nb.cockpit.views.resource_page import LookView, page_html
from buildflow_nb.cockpit.views.resource_text import resource_text
from buildflow_nb.core.resource_look import (
    Action,
    Binary,
    Column,
    Content,
    Figure,
    Held,
    ResourceLook,
    Standing,
)
from buildflow_nb.flow.resources import ResourceState

EVIL = '<img src=x onerror="alert(1)">'


def look(**words):
    given = {
        "key": "SQSQueue orders-dead",
        "kind": "SQS queue",
        "name": "orders-dead",
        "place": "https://sqs/orders-dead",
        "figures": (
            Figure("waiting", 1_204, about="about"),
            Figure("oldest", 13 * 60.0, "s"),
            Figure("size", 401_000_000, "bytes"),
            Figure("written by price", 116.4, "/s"),
            Figure("delayed", None),
        ),
        "contents": (
            Content(
                "Messages",
                (Column("id", "INT64"), Column("item"), Column("raw")),
                ((88123, "Lemon", Binary(300, b"\xff\x00")), (88098, None, {"a": [1]})),
                "2 of 1,204",
            ),
        ),
        "notes": ("Looking takes nothing away.",),
        "held": Held("messages", 1_204, "about"),
        "roles": ("dead letters of price",),
        "actions": (
            Action("Peek 20", "%buildflow look orders-dead --peek"),
            Action("Send…", "%buildflow put orders-dead {…}", asks=True),
            Action("Purge 1,204…", "%buildflow purge orders-dead", asks=True, danger=True),
            Action("As DataFrame", "df = app.resource('orders-dead').dataframe()"),
        ),
        "at": 1_796_000_000.0,
    }
    return ResourceLook(**{**given, **words})


def bucket(**words):
    rows = (("a/b/", None, None), ("a/x.csv", 11_200_000, "2026-11-30 14:03:51"))
    columns = (Column("key"), Column("size", "bytes"), Column("written"))
    content = Content("Objects", columns, rows, elements=False)
    given = {"kind": "S3 bucket", "name": "exports", "prefix": "a/", "contents": (content,)}
    return look(**{**given, **words})


def test_figures_come_first_then_content_then_actions_with_their_lines():
    html = page_html(look(), flow="shop")
    places = [html.index(word) for word in ("1,204</b>", "Lemon", "%buildflow purge")]
    assert places == sorted(places)
    for said in ("about 1,204", "13 min", "401 MB", "116/s", "not known"):
        assert said in html
    assert "300 bytes: ff 00…" in html
    assert html.count("copy as cell") == 4


def test_what_asks_opens_its_question_and_the_rest_is_a_line():
    html = page_html(look(), flow="shop")
    assert 'data-act="do" data-arg="%buildflow look orders-dead --peek"' in html
    assert 'data-act="ask" data-arg="purge" data-value="SQSQueue orders-dead"' in html
    assert 'data-act="answer"' not in html


@pytest.mark.parametrize(
    ("asking", "said", "field"),
    [
        ("put", "message, JSON or text", 'name="element"'),
        ("purge", "deletes about 1,204 messages; type <b>orders-dead</b>", 'name="typed"'),
        ("redrive", "takes about 1,204 messages out", ""),
    ],
)
def test_a_question_says_how_much_and_wants_what_it_needs(asking, said, field):
    html = page_html(look(), flow="shop", asking=asking, typed="orders", wrong="another name")
    assert said in html
    assert field in html
    assert f'data-act="answer" data-arg="{asking}" data-value="SQSQueue orders-dead"' in html
    assert 'role="alert"' in html
    assert ("another name" in html) is True


def test_a_bucket_is_walked_folder_by_folder():
    html = page_html(bucket(), flow="shop")
    for value in ("prefix:", "prefix:a/", "prefix:a/b/", "object:a/x.csv"):
        assert f'data-act="look" data-arg="SQSQueue orders-dead" data-value="{value}"' in html
    assert ">b/</button>" in html
    assert ">x.csv</button>" in html
    assert "11.2 MB" in html
    more = page_html(bucket(next_page="t&1"), flow="shop")
    assert 'data-value="page:t&amp;1"' in more


def test_nothing_of_a_resource_is_html():
    content = Content(EVIL, (Column(EVIL, EVIL),), ((EVIL,), ({EVIL: EVIL},)), EVIL)
    found = look(
        key=EVIL,
        kind=EVIL,
        name=EVIL,
        place=EVIL,
        said=EVIL,
        cure=EVIL,
        figures=(Figure(EVIL, EVIL),),
        contents=(content, *bucket(contents=()).contents),
        notes=(EVIL,),
        roles=(EVIL,),
        prefix=f"{EVIL}/{EVIL}",
        next_page=EVIL,
        actions=(Action(EVIL, EVIL), Action(EVIL, f"%buildflow put {EVIL}", asks=True)),
    )
    for asking in ("", "put", "purge"):
        for html in (
            page_html(found, flow=EVIL, asking=asking, typed=EVIL, wrong=EVIL),
            LookView(found)._repr_html_(),
        ):
            assert "<img" not in html
            assert 'onerror="alert' not in html


@pytest.mark.parametrize("standing", Standing)
def test_how_it_stands_is_said_with_its_cure(standing):
    found = look(
        standing=standing, said="it is gone", cure="%buildflow apply", figures=(), contents=()
    )
    html, text = page_html(found), resource_text(found)
    for said in ("it is gone", "%buildflow apply"):
        assert said in html
        assert said in text


def test_a_saved_output_has_no_buttons_and_says_the_same():
    html = LookView(look())._repr_html_()
    assert "<button" not in html
    assert "<input" not in html
    assert "%buildflow purge orders-dead" in html
    assert "copy as cell" not in html
    assert re.search(r"as of \d\d:\d\d:\d\d", html)


def test_the_text_says_what_the_page_says():
    text = repr(LookView(look()))
    for said in ("orders-dead", "about 1,204", "88123", "Lemon", "2 of 1,204", "takes nothing"):
        assert said in text
    assert "%buildflow purge orders-dead" in text


def test_ten_thousand_rows_make_a_bounded_page():
    rows = tuple((i, "x" * 1_000) for i in range(10_000))
    content = Content("Rows", (Column("id"), Column("text")), rows)
    html = page_html(look(contents=(content,)))
    assert "9,800 more rows" in html
    assert len(html) < 300_000
    wide = Content("Rows", tuple(Column(f"c{i}") for i in range(500)), (tuple(range(500)),))
    assert "460 more columns" in page_html(look(contents=(wide,)))


def test_the_list_of_resources_is_a_table():
    found = ResourceList([ResourceState("SQSQueue o", EVIL, ("source of p",), "applied")], "flow")
    assert "source of p" in repr(found)
    assert len(found) == 1
    assert "<img" not in found._repr_html_()
