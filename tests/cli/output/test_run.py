"""What a run tells, on each of its faces."""

from __future__ import annotations

import contextlib
import io
import json
import threading

import pytest
from rich.console import Console

from buildflow_nb.cli.output import run
from buildflow_nb.cli.output.run import Teller, face_of
from buildflow_nb.cli.output.run_json import RunDocuments
from buildflow_nb.cli.output.run_lines import FAILURES, PERIOD_S, RunLines
from buildflow_nb.cli.output.run_view import LINES, RunView
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.status.snapshot import State
from tests.cli.fake_run import SNAPSHOT, FakeRun, failure, state

DEADLINE_S = 30


class Face:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []
        self.began = threading.Event()

    def open(self):
        return contextlib.nullcontext()

    def begin(self, handle):
        self.told.append("begin")
        self.began.set()

    def tell(self, event):
        self.told.append(event)

    def look(self, handle):
        handle.snapshot()

    def end(self, snapshot, lost):
        self.told.append(("end", lost))


def test_what_is_queued_at_the_end_is_still_told():
    face = Face()
    teller = Teller(face)
    teller.hear(state(State.STARTING))
    with teller.telling():
        teller.begin(FakeRun())
        assert face.began.wait(DEADLINE_S)
        teller.hear(state(State.DONE))
    assert face.told == ["begin", state(State.STARTING), state(State.DONE), ("end", 0)]


def test_what_does_not_fit_is_counted_and_nobody_waits(monkeypatch):
    monkeypatch.setattr(run, "WAITING", 2)
    face = Face()
    teller = Teller(face)
    for number in range(5):
        teller.hear(failure(number))
    with teller.telling():
        teller.begin(FakeRun())
    assert face.told == ["begin", failure(0), failure(1), ("end", 3)]


def test_a_reader_that_is_gone_ends_the_telling_alone():
    face = Face()

    def gone(event):
        raise BrokenPipeError

    face.tell = gone
    teller = Teller(face)
    teller.hear(state(State.DONE))
    with teller.telling():
        teller.begin(FakeRun())
    assert face.told == ["begin"]


def test_a_loop_that_is_blocked_is_looked_at_later():
    face, run = Face(), FakeRun()
    looks = [TimeoutError(), SNAPSHOT]

    def look(handle):
        found = looks.pop(0) if looks else SNAPSHOT
        if isinstance(found, Exception):
            raise found

    face.look = look
    teller = Teller(face)
    with teller.telling():
        teller.begin(run)
    assert face.told == ["begin", ("end", 0)]


def test_a_run_that_never_began_is_not_told_of():
    face = Face()
    with pytest.raises(ZeroDivisionError), Teller(face).telling():
        raise ZeroDivisionError
    assert face.told == []


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_lines_say_what_changes(capsys):
    face, run = RunLines(Terminal(), Clock()), FakeRun()
    run.runtime_address = "http://127.0.0.1:9653"
    face.begin(run)
    for event in (
        state(State.STARTING),
        state(State.WAITING, reason="queue 'orders' does not exist (run %buildflow apply)"),
        failure(),
        state(State.RUNNING, None),
    ):
        face.tell(event)
    face.end(SNAPSHOT, 7)
    assert capsys.readouterr().out.splitlines() == [
        "flow 'shop' runs on stack 'local', serving at http://127.0.0.1:8000, "
        "runtime server at http://127.0.0.1:9653",
        "price is waiting: queue 'orders' does not exist (run buildflow apply)",
        "price: an element failed: ValueError: no [red] (dead-lettered)",
        "7 events came too fast to be told",
        "flow 'shop' on stack 'local': running, http://127.0.0.1:8000",
        "  price  consumer  running  1,234 in  1,200 out  3 failed",
    ]


def test_a_flood_of_failures_is_counted(capsys):
    clock = Clock()
    face, run = RunLines(Terminal(), clock), FakeRun()
    for number in range(FAILURES + 500):
        face.tell(failure(number))
    face.look(run)
    assert capsys.readouterr().out.count("\n") == FAILURES
    clock.now = PERIOD_S
    face.look(run)
    assert capsys.readouterr().out == "price: 500 more elements failed\n"
    face.tell(failure())
    assert capsys.readouterr().out.count("\n") == 1, "the next period begins anew"


def test_what_comes_from_elsewhere_does_not_steer_the_terminal(capsys, drawn):
    hostile = failure(error="\x1b]0;title\x07 two\nlines")
    RunLines(Terminal()).tell(hostile)
    said = capsys.readouterr().out
    assert said == ("price: an element failed: \\x1b]0;title\\x07 two\\nlines (dead-lettered)\n")
    view, now = drawn
    view.tell(hostile)
    view.end(SNAPSHOT, 0)
    assert "\\x1b]0;title\\x07 two\\nlines" in now()


def test_documents_are_json_lines(capsys):
    face, run = RunDocuments(Terminal(json=True)), FakeRun()
    face.begin(run)
    face.tell(state(State.DONE))
    face.tell(failure())
    run.rings["price"].add("PRINT", "one\ntwo")
    face.look(run)
    face.look(run)
    face.end(SNAPSHOT, 0)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in found] == ["started", "state", "failure", "log", "log", "ended"]
    assert found[0]["address"] == "http://127.0.0.1:8000"
    assert found[1]["state"] == "done"
    assert found[2]["element"] == "{'id': 1}"
    assert [one["text"] for one in found[3:5]] == ["one", "two"], "each line is told once"
    assert found[-1]["snapshot"]["processors"][0]["elements_in"] == 1234


@pytest.fixture
def drawn():
    """A view, and what it shows at last."""
    file = io.StringIO()
    view = RunView(Console(file=file, force_terminal=True, width=90, height=40, color_system=None))

    def now():
        view._live.console.file.seek(0)
        console = Console(file=io.StringIO(), width=90, color_system=None)
        console.print(view._live.renderable)
        return console.file.getvalue()

    return view, now


def test_the_view_has_every_number(drawn):
    view, now = drawn
    run = FakeRun()
    with view.open():
        view.begin(run)
        run.become(state=State.WAITING, reason="no [bold]queue", p95_s=0.0123)
        view.look(run)
    said = now()
    assert "flow 'shop' runs on stack 'local', serving at http://127.0.0.1:8000: running" in said
    row = next(line for line in said.splitlines() if line.startswith("price"))
    assert " ".join(row.split()) == (
        "price consumer waiting: no [bold]queue 1,234 1,200 3 50 12.3 ms"
    )


def test_the_view_keeps_the_last_lines_alone(drawn):
    view, now = drawn
    run = FakeRun()
    with view.open():
        view.begin(run)
        run.rings["price"].extend("PRINT", [f"line {n}" for n in range(100)])
        view.look(run)
        view.tell(failure())
    view.end(SNAPSHOT, 3)
    lines = now().splitlines()[-LINES:]
    assert lines[0].startswith("price line 92")
    assert lines[-2].startswith("price ValueError: no [red] (dead-lettered)")
    assert "3 events came too fast" in lines[-1]


def test_the_terminal_decides_which_face_it_is(monkeypatch):
    assert isinstance(face_of(Terminal()), RunLines)
    assert isinstance(face_of(Terminal(json=True)), RunDocuments)
    terminal = Terminal()
    terminal.lively = True
    assert isinstance(face_of(terminal), RunView)
