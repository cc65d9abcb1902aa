"""The dashboard over a fake run; nothing here waits for time to pass."""

import threading

import pytest
from IPython.utils.capture import capture_output

from buildflow_nb.notebook import dashboard
from buildflow_nb.notebook.dashboard import WIDGET_VIEW, Dashboard, Dashboards
from tests.notebook.shots import FakeRun

DEADLINE_S = 10


@pytest.fixture
def run(bare):
    return FakeRun()


@pytest.fixture
def changes(monkeypatch):
    """What the front end is told through the widget's trait."""
    from ipywidgets import HTML

    told = []
    send = HTML.send_state

    def counted(self, key=None):
        told.append(self.value)
        return send(self, key)

    monkeypatch.setattr(HTML, "send_state", counted)
    return told


def shown(act):
    with capture_output() as out:
        act()
    return [output.data for output in out.outputs]


def test_a_live_view_holds_widget_html_and_text(run):
    (bundle,) = shown(lambda: Dashboard(run).show(live=True))
    assert set(bundle) == {WIDGET_VIEW, "text/html", "text/plain"}
    assert "price" in bundle["text/plain"]
    assert "price" in bundle["text/html"]


def test_a_front_end_without_cells_gets_the_static_twin_alone(run):
    (bundle,) = shown(lambda: Dashboard(run).show(live=False))
    assert set(bundle) == {"text/html", "text/plain"}


def test_the_trait_is_set_only_when_something_changed(run, changes):
    board = Dashboard(run)
    shown(lambda: board.show(live=True))
    changes.clear()
    assert board.publish()
    assert changes == []
    run.set(elements_in=777_777)
    board.publish()
    board.publish()
    assert len(changes) == 1
    assert "777,777" in changes[0]


def test_two_views_of_a_run_share_one_widget(run):
    board = Dashboard(run)
    first, second = shown(lambda: [board.show(live=True), board.show(live=True)])
    assert first[WIDGET_VIEW] == second[WIDGET_VIEW]


def test_the_static_twin_is_refreshed_only_when_its_text_changed(run):
    board = Dashboard(run)
    shown(lambda: board.show(live=True))
    assert shown(board.refresh) == []
    run.set(history=(1, 2, 3))
    assert shown(board.refresh) == []
    run.set(elements_in=777_777)
    (bundle,) = shown(board.refresh)
    assert "777,777" in bundle["text/plain"]
    assert "777,777" in bundle["text/html"]
    assert WIDGET_VIEW in bundle


def test_the_end_of_a_run_replaces_the_widget_and_leaves_nothing_behind(run):
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    board = Dashboard(run)
    shown(lambda: board.show(live=True))
    assert set(_instances) != before
    run.end()
    assert not board.publish()
    (bundle,) = shown(board.refresh)
    assert set(bundle) == {"text/html", "text/plain"}
    assert (
        "✓ done" not in bundle["text/plain"]
    )  # the flow is done; this processor's state is its own
    assert "shop · stack local · done" in bundle["text/plain"]
    assert set(_instances) == before
    assert board.settled
    assert shown(board.refresh) == []


def test_a_run_that_has_ended_is_shown_without_a_widget(run):
    run.end()
    (bundle,) = shown(lambda: Dashboard(run).show(live=True))
    assert WIDGET_VIEW not in bundle


def test_only_the_last_views_are_kept(run):
    board = Dashboard(run)
    shown(lambda: [board.show(live=False) for _ in range(dashboard.MOST_VIEWS + 3)])
    run.set(elements_in=1)
    assert len(shown(board.refresh)) == dashboard.MOST_VIEWS


def threads():
    return [t for t in threading.enumerate() if t.name == "buildflow dashboards"]


def test_the_publisher_publishes_and_ends_with_the_last_run(run, changes, monkeypatch):
    monkeypatch.setattr(dashboard, "EVERY_S", 0.001)
    published = threading.Event()
    boards = Dashboards(updates=True)
    shown(lambda: boards.show(run, live=True))
    monkeypatch.setattr(Dashboard, "_set", lambda *_: published.set())
    (thread,) = threads()
    assert thread.daemon
    assert published.wait(DEADLINE_S)
    run.end()
    thread.join(DEADLINE_S)
    assert threads() == []
    shown(boards.refresh)
    assert boards._all == []


def test_closing_ends_the_thread_and_shows_the_last_state(run, monkeypatch):
    monkeypatch.setattr(dashboard, "EVERY_S", 0.001)
    boards = Dashboards(updates=True)
    shown(lambda: boards.show(run, live=True))
    (bundle,) = shown(boards.close)
    assert WIDGET_VIEW not in bundle
    assert threads() == []


def test_a_run_that_does_not_answer_keeps_its_date(run, monkeypatch):
    boards = Dashboards(updates=True)
    shown(lambda: boards.show(run, live=False))

    def silent():
        raise TimeoutError

    monkeypatch.setattr(run, "snapshot", silent)
    assert shown(boards.refresh) == []


def test_a_terminal_is_not_told_again_after_each_cell(run):
    boards = Dashboards(updates=False)
    shown(lambda: boards.show(run, live=False))
    run.set(elements_in=777_777)
    assert shown(boards.refresh) == []
    run.end()
    assert shown(boards.refresh) == []
    assert boards._all == []
