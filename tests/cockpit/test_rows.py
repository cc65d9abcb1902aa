"""The table of hundreds of processors: what is in sight, in an order that holds still."""

import json
from dataclasses import replace

import pytest

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.cockpit.panel.pieces import Pieces
from buildflow_nb.cockpit.panel.rows import Rows
from buildflow_nb.cockpit.panel.view_state import ViewState
from buildflow_nb.cockpit.views.processors_table import WINDOW
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.local import Empty, Pulse
from tests.notebook.shots import PRICE, fake_flow, shot

MANY = 500
MOST_BYTES = 30_000  # of an update


def name_of(i):
    return f"step_{i:03}"


def many(beat=0, **words):
    made = [
        replace(
            PRICE, processor_id=name_of(i), failed=0, failures_kept=0,
            in_per_s=100 + (beat + i) % 7, out_per_s=90 + (beat * i) % 5,
            history=tuple((beat + i + s) % 90 for s in range(300)),
        )
        for i in range(MANY)
    ]  # fmt: skip
    for name, changes in words.items():
        at = next(i for i, p in enumerate(made) if p.processor_id == name)
        made[at] = replace(made[at], **changes)
    return shot(*made)


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = fake_flow()
    for i in range(MANY):

        def code(x: int) -> int:
            return x

        code.__name__ = code.__qualname__ = name_of(i)
        made.consumer(Pulse([1], 1 + i), Empty())(code)
    return made


@pytest.fixture
def rows(flow):
    return Rows(Cockpit(lambda: flow, lambda: None))


def drawn(parts):
    return [name.removeprefix("rows/") for name in parts if name.startswith("rows/step")]


def test_of_hundreds_only_those_in_sight_are_drawn(rows):
    assert drawn(rows.parts(many(), ViewState())) == [name_of(i) for i in range(WINDOW)]
    below = drawn(rows.parts(many(), ViewState(first=300)))
    assert name_of(300) in below
    assert len(below) == WINDOW
    assert drawn(rows.parts(many(), ViewState(first=10_000)))[-1] == name_of(MANY - 1)


@pytest.mark.parametrize("opened", [0, 3, 40, 400, MANY - 1])
def test_what_is_opened_is_drawn_with_its_drawer_wherever_it_stands(rows, opened):
    parts = rows.parts(many(), ViewState(selected=name_of(opened)))
    assert name_of(opened) in drawn(parts)
    assert "rows/ drawer" in parts
    names = list(parts)
    assert names.index("rows/ drawer") == names.index(f"rows/{name_of(opened)}") + 1


def test_who_scrolls_away_from_what_is_open_sees_where_they_are(rows):
    rows.parts(many(), ViewState(selected=name_of(400)))
    assert name_of(100) in drawn(rows.parts(many(), ViewState(selected=name_of(400), first=100)))


def test_what_fails_stands_first_and_nothing_moves_under_a_pointer(rows):
    assert drawn(rows.parts(many(), ViewState()))[0] == name_of(0)
    bad = {"failed": 5, "failures_kept": 5}
    held = rows.parts(many(step_007=bad), ViewState(held=True))
    assert drawn(held)[0] == name_of(0)
    assert rows.failing == [name_of(7)]
    assert drawn(rows.parts(many(step_007=bad), ViewState()))[0] == name_of(7)
    gone = {"state": State.FAILED}
    assert drawn(rows.parts(many(step_007=bad, step_009=gone), ViewState()))[0] == name_of(9)


def test_a_search_and_a_filter_narrow_it(rows):
    found = rows.parts(many(), ViewState(query="step_1"))
    assert "100 of 500" in found["tools"]
    bad = {"failed": 5, "failures_kept": 5}
    assert drawn(rows.parts(many(step_007=bad), ViewState(only="fails"))) == [name_of(7)]


def test_an_update_of_hundreds_of_processors_is_small(flow):
    panel = Panel(Cockpit(lambda: flow, lambda: None), "cell [1]", lambda: None)
    pieces = Pieces({})
    pieces.news("flow", panel.parts(many()))
    for beat in range(1, 4):
        message = pieces.news("flow", panel.parts(many(beat)))
        assert len(json.dumps(message)) <= MOST_BYTES
