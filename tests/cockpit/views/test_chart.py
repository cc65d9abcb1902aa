"""A chart of a history: what it draws, what it says, and how large it gets."""

from __future__ import annotations

import re
import time

import pytest

from buildflow_nb.cockpit.views.chart import Chart, chart_html, chart_text
from buildflow_nb.cockpit.views.chart_points import POINTS, points_of
from buildflow_nb.core.status.history import SPANS, History, Mark, Row, Rows

NOW = 1_700_000_523.4
END = int(NOW)


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def rows(*found: Row) -> Rows:
    made = Rows()
    for row in found:
        made.add(row)
    return made


def ten_minutes(**at: Row) -> History:
    """One element a second, and rows that a test says, by seconds before the end."""
    other = {int(name[1:]): row for name, row in at.items()}
    found = (other.get(ago, Row(0, taken=1, given=1)) for ago in range(600, 0, -1))
    fine = (row._replace(at=END - 600 + i) for i, row in enumerate(found))
    return History("price", rows(*(row for row in fine if row.seconds)))


def a_day(name: str = "price", marks: tuple[Mark, ...] = ()) -> History:
    """The busiest there can be: every number another one in each row, and a backlog."""
    coarse = rows(
        *(
            Row(
                at, 10, at * 7 % 9_973, at * 11 % 9_967, at * 13 % 997, at % 89 / 1e3, at % 97 / 1e2
            )._replace(backlog=at * 17 % 99_991)
            for at in range(END // 10 * 10 - 86_400, END // 10 * 10 - 600, 10)
        )
    )
    fine = rows(
        *(
            Row(
                at, 1, at * 7 % 997, at * 11 % 967, at * 13 % 97, at % 89 / 1e3, at % 97 / 1e2
            )._replace(backlog=at * 17 % 9_991)
            for at in range(END - 600, END)
        )
    )
    return History(name, fine, coarse, marks)


@pytest.mark.parametrize("span", SPANS)
def test_no_spike_is_lost_whatever_the_span(span):
    history = a_day()
    at = END // 10 * 10 - 5_000 if span == "24h" else END - 300
    spike = Row(at, 1, 5, 5, 1_000_000, 0.1, 77.0)
    step = spike._replace(at=at // 10 * 10, seconds=1)
    history = History("price", rows(spike), rows(*history.coarse.before(step.at), step))
    points = points_of(history, span, NOW)
    assert max(points.seen("failed")) == 1_000_000
    assert max(points.seen("p99")) == 77.0
    assert "1.0M" in chart_html(history, span=span, now=NOW)


def test_the_second_that_is_not_over_is_not_there():
    assert points_of(ten_minutes(), "10m", NOW).last("in") == 1.0


@pytest.mark.parametrize("span", ["10m", "1h"])
def test_rates_are_by_the_second_whatever_a_row_is_of(span):
    coarse = rows(*(Row(END // 10 * 10 - ago, 10, 50, 40, 10) for ago in range(3_600, 0, -10)))
    points = points_of(History("price", Rows(), coarse), span, NOW)
    assert set(points.seen("in")) == {5.0}
    assert (points.last("out"), points.last("failed")) == (4.0, 1.0)
    assert len(points.seen("in")) >= POINTS - 3


def test_a_gap_breaks_the_line_and_is_said():
    gone = {f"s{ago}": Row(0, 0) for ago in range(200, 300)}
    history = ten_minutes(**gone)
    html = chart_html(history, span="10m", now=NOW)
    line = re.search(r'<path class="info" d="([^"]*)"', html)[1]
    assert line.count("M") == 2
    assert "a gap: it did not run" in html
    assert "  " in chart_text(history, span="10m", now=NOW).splitlines()[1][12:]
    assert "gap" not in chart_html(ten_minutes(), span="10m", now=NOW)


@pytest.mark.parametrize("span", SPANS)
def test_a_chart_has_at_most_ten_thousand_bytes(span):
    marks = tuple(Mark(NOW - 40 * n, "swapped", f"v{n}") for n in range(200))
    assert len(chart_html(a_day("p" * 80, marks), span=span, now=NOW).encode()) <= 10_240


def test_what_is_not_ours_is_escaped():
    name = "<script>alert(1)</script>"
    marks = (Mark(NOW - 100, "swapped", name), Mark(NOW - 400, name, name))
    history = History(name, ten_minutes().fine, Rows(), marks)
    for html in (
        Chart(history, "10m", NOW)._repr_html_(),
        Chart(History(name), "1h", NOW)._repr_html_(),
    ):
        assert "<script" not in html


def test_all_that_opens_closes():
    html = chart_html(a_day(), span="1h", now=NOW)
    for tag in ("div", "span", "b", "svg", "i"):
        assert len(re.findall(rf"<{tag}[ >]", html)) == html.count(f"</{tag}>"), tag


def test_each_plot_tells_its_numbers_to_whoever_cannot_see_it():
    history = ten_minutes(s100=Row(0, 1, 40, 30, 9, 0.5, 2.0))
    said = re.findall(r'<svg[^>]*aria-label="([^"]*)"', chart_html(history, span="10m", now=NOW))
    assert said == [
        "throughput from 22:12:10 to 22:22:10, in/s: min 1, max 40, last 1; "
        "out/s: min 1, max 30, last 1",
        "failed from 22:12:10 to 22:22:10, failed/s: min 0, max 9, last 0",
        "latency from 22:12:10 to 22:22:10, p50: min 500 ms, max 500 ms, last 500 ms; "
        "p99: min 2.0 s, max 2.0 s, last 2.0 s",
    ]


def test_scales_begin_at_zero_and_end_at_a_round_number():
    html = chart_html(ten_minutes(s5=Row(0, 1, 120)), span="10m", now=NOW)
    assert re.findall(r"class=ya[^>]*>([^<]*)", html)[:3] == ["200/s", "100", "0"]


def test_one_pointer_has_as_many_lines_in_each_strip_as_steps_to_point_at():
    html = chart_html(a_day(), span="10m", now=NOW)
    strips = re.findall(r"class=strip><span>(.*?)</span>", html, re.DOTALL)
    assert [len(strip.split("\n")) for strip in strips] == [60] * 5
    assert html.count("<p>") == 4 * 60
    assert strips[-1].split("\n")[-1] == "22:22:00"


def test_marks_are_dashed_and_named_and_those_too_near_are_told_in_text():
    marks = (
        Mark(NOW - 300, "swapped", "v3"),
        Mark(NOW - 299, "applied"),
        Mark(NOW - 100, "failed"),
        Mark(NOW - 700, "stopped"),
    )
    history = History("price", ten_minutes().fine, Rows(), marks)
    html = chart_html(history, span="10m", now=NOW)
    named = re.findall(r'<span class="mark (\w+)[^"]*"[^>]*>([^<]*)', html)
    assert named == [("err", "failed"), ("mute", "applied")]
    assert html.count('class="mark info"') == 3  # a line in each plot
    told = chart_text(history, span="10m", now=NOW)
    assert "22:17:03 swapped v3, 22:17:04 applied, 22:20:23 failed" in told
    assert "stopped" not in told


def test_the_text_tells_the_numbers():
    text = repr(Chart(ten_minutes(s30=Row(0, 1, 9, 8, 1, 0.02, 0.05, 7)), "10m", NOW))
    lines = text.splitlines()
    assert lines[0] == "price, last 10 minutes, to 22:22:10"
    assert lines[1].endswith("min 1, max 9, last 1")
    assert [line.split()[0] for line in lines[1:7]] == [
        *("in/s", "out/s", "failed/s", "p50", "p99", "backlog"),
    ]
    assert lines[-1] == "  each point is the highest of 5 s"


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (History("price"), "nothing is remembered yet"),
        (History("price", rows(Row(END - 7_000))), "nothing ran in the last 10 minutes; the last"),
    ],
)
def test_nothing_to_draw_is_said(history, said):
    assert said in chart_html(history, span="10m", now=NOW)
    assert said in chart_text(history, span="10m", now=NOW)


def test_a_day_is_drawn_quickly():
    history = a_day()
    began = time.perf_counter()
    for _ in range(5):
        chart_html(history, span="24h", now=NOW)
    assert (time.perf_counter() - began) / 5 < 0.1
