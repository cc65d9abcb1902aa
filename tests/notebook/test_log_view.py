"""The log of a panel: filters, pause, and a bounded page whatever the flood."""

from types import SimpleNamespace

from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import log_view
from buildflow_nb.cockpit.views.log_view import LogView, as_file, lines_of
from buildflow_nb.runtime.observability.logs import LOG_LINES, LogRing

AT = 1_700_000_000.0


class FakeFlow:
    """Two processors with a ring each."""

    def __init__(self):
        self.rings = {"price": LogRing(), "cost": LogRing()}
        self.processors = self.rings

    def logs(self, name):
        return self.rings[name].lines()


def test_lines_from_a_level_on_that_hold_a_text():
    flow = FakeFlow()
    ring = flow.rings["price"]
    for level, text in (("PRINT", "Order 1"), ("DEBUG", "order 2"), ("ERROR", "order 3")):
        ring.add(level, text)
    assert [line.text for _, line in lines_of(flow, "price", "INFO")] == ["Order 1", "order 3"]
    assert [line.text for _, line in lines_of(flow, "price", "", "ORDER 2")] == ["order 2"]
    assert lines_of(flow, "cost") == []


def test_the_lines_of_all_stand_in_order_with_their_processor():
    flow = FakeFlow()
    flow.rings["price"].add("PRINT", "one")
    flow.rings["cost"].add("PRINT", "two")
    flow.rings["price"].add("PRINT", "three")
    html = LogView().html(flow, ViewState(selected=ALL))
    assert html.index("price one") < html.index("cost two") < html.index("price three")


def test_a_level_is_told_by_a_mark_and_a_word_and_text_is_escaped():
    flow = FakeFlow()
    flow.rings["price"].add("WARNING", "<script>alert(1)</script>")
    html = LogView().html(flow, ViewState(selected="price"))
    assert "▲ WARNING" in html
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_a_pause_keeps_what_is_shown_and_going_on_catches_up():
    flow, view = FakeFlow(), LogView()
    flow.rings["price"].add("PRINT", "before")
    view.html(flow, ViewState(selected="price"))
    flow.rings["price"].add("PRINT", "meanwhile")
    paused = view.html(flow, ViewState(selected="price", paused=True))
    assert "before" in paused
    assert "meanwhile" not in paused
    assert 'aria-live="off"' in paused
    assert "meanwhile" in view.html(flow, ViewState(selected="price"))


def test_a_flood_makes_no_larger_page_and_is_not_read_out():
    flow, view = FakeFlow(), LogView()
    flow.rings["price"].add("PRINT", "quiet")
    assert 'aria-live="polite"' in view.html(flow, ViewState(selected="price"))
    for i in range(100_000):
        flow.rings["price"].add("PRINT", f"line {i} " + "x" * 1_000)
    html = view.html(flow, ViewState(selected="price"))
    shown = html.count("line ")
    assert 10 < shown < log_view.SHOWN
    assert "line 99999" in html
    assert f"{LOG_LINES:,} lines, last {shown} shown" in html
    assert len(html) < log_view.MOST_LETTERS + 4_000
    assert 'aria-live="off"' in html


def test_of_short_lines_as_many_are_shown_as_can_be_read():
    flow, view = FakeFlow(), LogView()
    for i in range(1_000):
        flow.rings["price"].add("PRINT", f"line {i}")
    assert view.html(flow, ViewState(selected="price")).count("line ") == log_view.SHOWN


def test_the_file_has_every_line_whole():
    lines = [("price", SimpleNamespace(at=AT, level="PRINT", text="x" * 5_000))] * 3
    text = as_file(lines)
    assert text.count("\n") == 3
    assert "price  " + "x" * 5_000 in text


def test_half_a_character_breaks_neither_the_page_nor_the_file():
    flow = FakeFlow()
    flow.rings["price"].add("PRINT", "\ud83d")
    LogView().html(flow, ViewState(selected="price")).encode()
    as_file(lines_of(flow, "price")).encode()
