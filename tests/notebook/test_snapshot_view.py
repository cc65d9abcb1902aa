import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from buildflow_nb.cockpit.views import formats, markup, snapshot_view
from buildflow_nb.core.status.snapshot import State
from tests.notebook.shots import PRICE, WORST, shot


class Balance(HTMLParser):
    """Fails on tags that do not close, remembers text and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(html):
    page = Balance()
    page.feed(html)
    page.close()
    assert not page.open
    return page


def test_html_shows_states_by_shape_and_word_and_numbers_with_units():
    page = read(snapshot_view.html(shot()))
    for said in ("shop", "●running", "◐waiting", "no table yet", "2,140", "512,906", "1.2 ms"):
        assert said in page.text
    assert re.search(r"as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", page.text)
    assert "%buildflow failures price" in page.text


def test_tables_and_graphs_are_named_for_screen_readers():
    tags = read(snapshot_view.html(shot())).tags
    assert [t for t, a in tags if t == "section" and a["role"] == "region" and a["aria-label"]]
    assert [a["role"] for t, a in tags if t == "svg"] == ["img"]
    assert all(a.get("scope") == "col" for t, a in tags if t == "th")


def test_text_is_aligned_and_holds_the_same_facts():
    lines = snapshot_view.text(shot()).splitlines()
    assert lines[0] == "shop · stack local · running · http://127.0.0.1:8000"
    assert lines[1].startswith("▲ worst waits: ")
    rows = lines[2:5]
    assert rows[0].rstrip().endswith("p99")
    assert rows[0].index("p99") + 3 == len(rows[0]) == len(rows[1]) == len(rows[2])
    assert rows[0].index("state") == rows[1].index("● running") == rows[2].index("◐ waiting")
    assert "worst: no table yet" in lines


def test_only_the_date_separates_two_looks_at_the_same():
    now, later = shot(), shot(at=1_700_000_009.0)
    assert snapshot_view.undated(now) == snapshot_view.undated(later)
    assert snapshot_view.facts(now) == snapshot_view.facts(later)
    assert snapshot_view.text(now) != snapshot_view.text(later)


def test_what_users_wrote_cannot_break_out_of_the_html():
    evil = "<script>x</script>\"'>&\x1b[31mred\x1b[0m"
    bad = replace(PRICE, processor_id=evil, reason=evil, source=evil, sink=evil)
    html = snapshot_view.html(shot(bad, flow_id=evil, stack=evil, address=evil))
    page = read(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "\x1b" not in html
    assert "<script>x</script>\"'>&red" in page.text
    assert "\x1b" not in snapshot_view.text(shot(bad, flow_id=evil))


def test_a_flow_without_processors_says_what_to_do():
    empty = shot(processors=())
    assert "%%buildflow consumer" in read(snapshot_view.html(empty)).text
    assert "no processors yet" in snapshot_view.text(empty)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_shape_and_a_tone(state):
    assert state in formats.SHAPES
    assert formats.TONES[state] in {"ok", "warn", "err", "info", "mute"}
    assert state.value in markup.chip(state)


def test_shapes_differ():
    assert len(set(formats.SHAPES.values())) == len(State)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, formats.NOTHING),
        (0, "0 ms"),
        (3e-8, "<1 µs"),
        (0.0000124, "12 µs"),
        (0.00124, "1.2 ms"),
        (0.0084, "8.4 ms"),
        (0.25, "250 ms"),
        (1.0, "1.0 s"),
        (75, "75 s"),
    ],
)
def test_latencies_carry_their_unit(seconds, said):
    assert formats.latency(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"), [(0, "0"), (0.2, "0.2"), (9.96, "10"), (2140.4, "2,140")]
)
def test_rates(rate, said):
    assert formats.rate(rate) == said


class Broken:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value", [list(range(10**5)), "x" * 10**6, b"y" * 10**6, dict.fromkeys(range(9999), "z" * 99)]
)
def test_huge_values_are_cut(value):
    assert len(formats.shown(value)) <= formats.LONGEST


def test_values_keep_their_order_and_survive_a_broken_repr():
    assert formats.shown({"b": 1, "a": [2]}) == "{'b': 1, 'a': [2]}"
    assert "Broken" in formats.shown(Broken())


def test_escapes_and_controls_are_taken_out():
    assert formats.clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x00\ty\r\n") == "red x�\ty\n"
    assert formats.clean("abcdef", 4) == "abc…"


def test_a_sparkline_is_thinned_and_needs_two_points():
    assert markup.sparkline((), "x").startswith("<span")
    assert markup.sparkline((0, 0, 0), "x").startswith("<span")
    drawn = markup.sparkline(tuple(range(300)), "x")
    assert len(re.findall(r"\d+,\d+", drawn.split("points=")[1])) <= markup.POINTS


def test_a_long_reason_stands_in_a_row_of_its_own_beneath_and_a_long_name_is_cut_by_the_page():
    reason, name = "no such table: " + "x" * 300, "a_name_of_very_many_letters" * 4
    bad = replace(WORST, processor_id=name, reason=reason, codes=((200, 12), (404, 1)))
    page = read(snapshot_view.html(shot(bad)))
    (wide,) = [a for t, a in page.tags if t == "td" and a.get("colspan")]
    assert wide["colspan"] == str(len([t for t, _ in page.tags if t == "th"]))
    assert "200: 12 · 404: 1" in page.text
    assert any(t == "b" and a.get("class") == "name" and name in a["title"] for t, a in page.tags)


@pytest.mark.parametrize(
    ("state", "failed", "shown"),
    [
        (State.RUNNING, 0, ("●", "ok")),
        (State.RUNNING, 9, ("●", "warn")),
        (State.RUNNING, 50, ("●", "err")),
        (State.DONE, 0, ("✓", "ok")),
        (State.DONE, 1, ("▲", "warn")),
        (State.DONE, 100, ("▲", "err")),
        (State.STOPPED, 50, ("■", "mute")),
    ],
)
def test_nothing_is_green_where_elements_failed(state, failed, shown):
    p = replace(PRICE, state=state, elements_in=100, in_flight=0, failed=failed)
    assert formats.mark(state, formats.bad(p)) == shown
    assert formats.label(p) == f"{shown[0]} {state.value}"
    assert f'class="chip {shown[1]}"' in snapshot_view.html(shot(p, state=state))


def test_the_address_is_a_link_and_gone_with_the_run():
    links = [a["href"] for t, a in read(snapshot_view.html(shot())).tags if t == "a"]
    assert links == ["http://127.0.0.1:8000/docs"]
    assert "127.0.0.1:8000" not in read(snapshot_view.html(shot(state=State.STOPPED))).text


def test_every_number_says_what_is_measured():
    heads = [a for t, a in read(snapshot_view.html(shot())).tags if t == "span" and "title" in a]
    assert len(heads) == len(snapshot_view._COLUMNS) - snapshot_view._LEFT + 1


def test_a_sparkline_says_the_span_that_it_has():
    assert ", 4 s:" in markup.sparkline((1, 5, 3, 9), "price")
    assert ", 5 minutes:" in markup.sparkline((1,) * 300, "price")


def test_the_head_says_since_when_its_state_is_and_which_cloud_it_is_on():
    html = snapshot_view.html(shot(state=State.DRAINING, since=1_700_000_000.0, cloud="real"))
    assert f"since {formats.clock(1_700_000_000.0)}" in html
    assert "stack <b>local</b> · real cloud" in html
    assert "stack local · real cloud · draining" in snapshot_view.text(
        shot(state=State.DRAINING, cloud="real")
    )
