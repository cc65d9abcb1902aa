"""The history of a flow, asked for while it runs, after it, and in the next kernel."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.core.status.operations import Operation, Outcome, Result, Summary
from buildflow_nb.runtime.observability import history_keeper
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import until

COLUMNS = [
    *("in_per_s", "out_per_s", "failed_per_s", "p50_s", "p99_s"),
    *("backlog", "in_flight", "step_s"),
]


def price_flow(app: Flow, *batches: list[int], endless: bool = True) -> None:
    @app.consumer(source=FakeSource(batches, endless=endless), sink=FakeSink(), retries=0)
    def price(x: int) -> int:
        if x == 3:
            msg = "usd"
            raise KeyError(msg)
        return x


def sums(app: Flow, name: str = "price") -> tuple[float, ...]:
    """Elements in, out and failed, over all of the history."""
    frame = app.history(name)
    found = frame[["in_per_s", "out_per_s", "failed_per_s"]].mul(frame["step_s"], axis=0).sum()
    return tuple(round(value) for value in found)


def kinds(app: Flow) -> list[str]:
    return [mark["kind"] for mark in app.history("price").attrs["marks"]]


def saved(app: Flow) -> None:
    """Wait until the last save is done."""
    thread = app.handle.history._saving
    if thread is not None:
        thread.join(PATIENCE_S)


def test_it_is_a_table_by_time_while_it_runs_and_after(app):
    price_flow(app, [1, 2, 3])
    app.run(block=False)
    until(lambda: sums(app) == (3, 2, 1))
    frame = app.history("price")
    assert list(frame.columns) == COLUMNS
    assert (str(frame.index.tz), frame.index.name) == ("UTC", "at")
    assert frame.index.is_monotonic_increasing
    assert frame["p99_s"].max() > 0
    app.handle.stop()
    assert sums(app) == (3, 2, 1)
    assert kinds(app) == ["started", "stopped"]


def test_a_run_that_ends_within_a_second_is_there_whole(app):
    price_flow(app, [1, 2, 3], endless=False)
    app.run(block=False)
    app.handle.wait(PATIENCE_S)
    assert sums(app) == (3, 2, 1)
    assert kinds(app) == ["started", "done"]


def test_the_next_run_goes_on(app):
    price_flow(app, [1, 2], endless=False)
    for count in (2, 4):
        app.run(block=False).wait(PATIENCE_S)
        assert sums(app)[0] == count
    assert kinds(app) == ["started", "done", "started", "done"]


def test_the_next_kernel_goes_on(app):
    price_flow(app, [1, 2, 3], endless=False)
    app.run(block=False).wait(PATIENCE_S)
    saved(app)
    again = Flow("test")
    price_flow(again, [5, 6], endless=False)
    assert sums(again) == (3, 2, 1)
    assert kinds(again) == ["started", "done"]
    again.run(block=False).wait(PATIENCE_S)
    assert sums(again) == (5, 4, 1)
    assert kinds(again) == ["started", "done", "started", "done"]
    saved(again)
    third = Flow("test")
    price_flow(third, [7])
    assert sums(third) == (5, 4, 1)
    assert list(app.config.folder.joinpath(PRIVATE, "history", "test").iterdir()) != []


def test_a_sentence_needs_no_disk(app, monkeypatch):
    price_flow(app, [1, 2, 3])
    app.run(block=False)
    until(lambda: len(app.history("price")) > 0)

    def read(*words):
        msg = "the disk was read"
        raise AssertionError(msg)

    monkeypatch.setattr(history_keeper, "read_past", read)
    app.handle.history._past.clear()
    until(lambda: app.health().since is not None)
    assert app.health().said.startswith("price fails 33 % since ")
    assert "KeyError: 'usd' (1 of 3)" in app.health().said


def test_all_processors_are_one_table(app):
    price_flow(app, [1], endless=False)

    @app.endpoint("/idle")
    def idle() -> int:
        return 1

    empty = app.history()
    assert empty.index.names == ["processor", "at"]
    assert len(empty) == 0
    app.run(block=False, serve_port=0)
    until(lambda: {"price", "idle"} <= set(app.history().index.get_level_values("processor")))
    frame = app.history()
    assert frame.loc["price"]["in_per_s"].sum() == 1
    assert frame.loc["idle"]["in_per_s"].sum() == 0


def test_a_swap_is_marked_and_the_history_goes_on(app):
    source = FakeSource([[1, 2]], endless=True)

    def declare(factor):
        @app.consumer(source=source, sink=FakeSink())
        def price(x: int) -> int:
            return factor * x

    declare(1)
    app.run(block=False)
    until(lambda: app.handle.snapshot().processor("price").elements_in == 2)
    declare(2)
    until(lambda: "swapped" in kinds(app))
    (mark,) = (one for one in app.history("price").attrs["marks"] if one["kind"] == "swapped")
    assert mark["text"] == "v2"
    until(lambda: sums(app)[0] == 2)


@pytest.mark.parametrize(
    ("operation", "result", "changes", "marked"),
    [
        (Operation.APPLY, Result.DONE, 3, ["applied"]),
        (Operation.DESTROY, Result.DONE, 1, ["destroyed"]),
        (Operation.APPLY, Result.DONE, 0, []),
        (Operation.APPLY, Result.FAILED, 3, []),
    ],
)
def test_what_changed_the_cloud_is_marked(app, operation, result, changes, marked):
    price_flow(app, [1])
    app.run(block=False)
    summary = Summary(operation, result, {"create": changes} if changes else {})
    app._mark(operation, Outcome(summary))
    found = [one for one in app.history("price").attrs["marks"] if one["kind"] != "started"]
    assert [one["kind"] for one in found] == marked
    assert all((one["text"], one["processor"]) == (str(changes), None) for one in found)


def test_a_folder_that_cannot_be_written_costs_the_next_kernel_its_past_and_no_more(app, caplog):
    (app.config.folder / PRIVATE).write_text("in the way")
    price_flow(app, [1, 2], endless=False)
    app.run(block=False).wait(PATIENCE_S)
    saved(app)
    assert sums(app) == (2, 2, 0)
    assert [one.getMessage()[:27] for one in caplog.records] == ["the history of this run can"]


def test_a_disk_that_hangs_holds_nothing_up(app, monkeypatch):
    monkeypatch.setattr(history_keeper, "SAVE_S", 0.0)
    hangs, entered = threading.Event(), threading.Event()

    def save(self, what):
        entered.set()
        hangs.wait(PATIENCE_S)

    monkeypatch.setattr(history_keeper.HistoryFile, "save", save)
    price_flow(app, [1, 2])
    app.run(block=False)
    try:
        assert entered.wait(PATIENCE_S)
        until(lambda: len(app.history("price")) >= 2)
        app.handle.stop(timeout=2)
        assert sums(app) == (2, 2, 0)
    finally:
        hangs.set()
    saved(app)


def test_a_fault_of_the_books_does_not_hurt_the_run(app, monkeypatch, caplog):
    def broken(self, *, ending=False):
        msg = "broken"
        raise ValueError(msg)

    monkeypatch.setattr(history_keeper.HistoryRecorder, "look", broken)
    price_flow(app, [1, 2], endless=False)
    assert app.run(block=False).wait(PATIENCE_S).value == "done"
    assert "history" in caplog.text


def test_what_is_not_there_is_named(app, monkeypatch):
    price_flow(app, [1])
    with pytest.raises(UsageError, match="prise"):
        app.history("prise")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"history needs pandas; pip install 'buildflow_nb\[ta"):
        app.history("price")


def test_a_script_leaves_a_history(tmp_path):
    root = Path(__file__).parents[2]
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from buildflow_nb import Flow\n"
        "from tests.fakes import FakeSink, FakeSource\n"
        "app = Flow('test')\n"
        "@app.consumer(source=FakeSource([[1, 2]]), sink=FakeSink())\n"
        "def price(x: int) -> int:\n"
        "    return x\n"
        "app.run()\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            program.replace("app.run()", "print(int(app.history('price')['step_s'].sum()))"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(found.stdout) >= 1
