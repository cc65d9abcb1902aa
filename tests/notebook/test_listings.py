from buildflow_nb.cockpit.views.listings import (
    MOST_ROWS,
    Declared,
    Failures,
    Lines,
    Passages,
    Traceback,
)
from buildflow_nb.core.declaring.declarations import Service
from buildflow_nb.core.declaring.declare import consumer_spec, endpoint_spec
from buildflow_nb.core.status.snapshot import Failure, Passage
from buildflow_nb.io.local.pulse import Pulse
from buildflow_nb.notebook import display
from buildflow_nb.runtime.observability.logs import LogLine
from tests.notebook.test_snapshot_view import read


def passage(element="in", *results):
    return Passage(at=0.0, element=element, results=results, seconds=0.002)


def failure():
    return Failure(
        number=3,
        at=0.0,
        processor_id="price",
        element={"id": 1},
        error="ValueError: <no>",
        traceback="Traceback\nValueError",
        tries=3,
        origin="a.csv line 2",
        fate="dropped",
    )


def test_passages_are_a_list_and_a_table():
    found = Passages([passage({"id": 1}, 7, 8), passage("gone")], "price")
    assert found[0].results == (7, 8)
    assert "{'id': 1}" in repr(found)
    page = read(found._repr_html_())
    assert "7, 8" in page.text
    assert "dropped" in page.text
    assert "price · 2" in page.text


def test_failures_show_what_is_needed_to_understand_them():
    page = read(Failures([failure()], "all")._repr_html_())
    for said in ("3", "price", "dropped", "a.csv line 2", "ValueError: <no>", "{'id': 1}"):
        assert said in page.text


def test_nothing_is_said():
    assert repr(Failures([], "price · failed")) == "price · failed: nothing"
    assert "nothing" in read(Failures([], "x")._repr_html_()).text


def test_long_lists_show_their_end():
    found = Passages([passage(n) for n in range(MOST_ROWS + 5)], "p")
    assert len(found) == MOST_ROWS + 5
    page = read(found._repr_html_())
    assert f"last {MOST_ROWS}" in page.text
    assert sum(tag == "tr" for tag, _ in page.tags) == MOST_ROWS + 1


def test_long_and_coloured_values_are_cut_and_bare():
    found = Passages([passage("\x1b[31m" + "x" * 10_000)], "p")
    assert max(map(len, repr(found).splitlines())) < 300
    assert "\x1b" not in repr(found) + found._repr_html_()


def test_log_lines_show_their_processor_and_level():
    lines = Lines([("price", LogLine(1, 0.0, "WARNING", "\x1b[1m<b>"))], "log")
    page = read(lines._repr_html_())
    assert "<b>" in page.text
    assert ("td", {"class": "l warn"}) in page.tags
    assert "price" in repr(lines)


def test_a_traceback_is_shown_as_it_stands():
    shown = Traceback("a\n  \x1b[31m<b>")
    assert repr(shown) == "a\n  <b>"
    assert "a\n  <b>" in read(shown._repr_html_()).text


def price(order: int) -> int:
    return order


def test_specs_show_what_they_connect():
    consumer = consumer_spec(price, Pulse([1], 0.5), None, {})
    endpoint = endpoint_spec(price, "/worst/{order}", "GET", Service().spec)
    page = read(Declared([consumer, endpoint], "flow")._repr_html_())
    for said in ("price", "Pulse every 0.5 s", "GET /worst/{order}"):
        assert said in page.text
    assert "Pulse every 0.5 s" in display.text(consumer)
    assert "consumer" in display.html(consumer)
