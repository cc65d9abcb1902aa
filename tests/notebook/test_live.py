"""The live panel over a fake run; nothing here waits for time to pass."""

import threading

import pytest
from IPython.utils.capture import capture_output

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.notebook import live as live_module
from buildflow_nb.notebook import view as view_module
from buildflow_nb.notebook.live import Live
from buildflow_nb.notebook.view import WIDGET_VIEW, View
from tests.notebook.shots import fake_flow

DEADLINE_S = 10


@pytest.fixture
def flow(bare):
    return fake_flow()


@pytest.fixture
def live(monkeypatch):
    """A live panel whose thread never runs: the test publishes."""
    monkeypatch.setattr(Live, "_start", lambda _: None)
    made = Live(updates=True)
    yield made
    shown(made.close)


def panel_of(flow, live, cell="cell [4]"):
    return Panel(Cockpit(lambda: flow, live.wake), cell, live.wake)


@pytest.fixture
def told(monkeypatch):
    """What the front end is told: traits by name, and messages."""
    found = []
    kind = view_module._widget_class()
    send_state = kind.send_state
    monkeypatch.setattr(kind, "send", lambda _, content: found.append(content))

    def counted(self, key=None):
        names = {key} if isinstance(key, str) else key
        found.append({name: getattr(self, name) for name in names or ()})
        return send_state(self, key)

    monkeypatch.setattr(kind, "send_state", counted)
    return found


def shown(act):
    with capture_output() as out:
        act()
    return [output.data for output in out.outputs]


def test_a_live_panel_is_a_widget_beside_its_twin(flow, live):
    twin, widget = shown(lambda: live.show(panel_of(flow, live), live=True))
    assert set(twin) == {"text/html", "text/plain"}
    assert "512,906" in twin["text/plain"]
    assert f'data-bf-twin="{live._view.twin}"' in twin["text/html"]
    assert set(widget) == {WIDGET_VIEW, "text/plain"}
    assert widget["text/plain"] == ""


def test_a_front_end_without_cells_gets_the_twin_alone(flow, live):
    (bundle,) = shown(lambda: live.show(panel_of(flow, live), live=False))
    assert set(bundle) == {"text/html", "text/plain"}
    assert 'data-bf-twin="' not in bundle["text/html"]


def test_a_kernel_without_widgets_gets_the_twin_alone(flow, live, monkeypatch):
    def missing(*_):
        raise ImportError

    monkeypatch.setattr(live_module, "View", missing)
    (bundle,) = shown(lambda: live.show(panel_of(flow, live), live=True))
    assert set(bundle) == {"text/html", "text/plain"}


def test_nothing_is_sent_before_a_page_looks_and_after_it_no_longer_does(flow, live, told):
    shown(lambda: live.show(panel_of(flow, live), live=True))
    told.clear()
    flow.put(elements_in=1)
    live.publish()
    assert told == []
    live._view._hear(None, {"act": "here", "arg": "page"}, [])
    flow.put(in_per_s=777_777)
    live.publish()
    assert [set(sent) for sent in told] == [
        {"put", "order", "label"}, {"ask"}, {"put", "label"}
    ]  # fmt: skip
    assert "777,777" in told[2]["put"]["rows/price"]
    assert "rows/worst" not in told[2]["put"]
    live._view._hear(None, {"act": "gone", "arg": "page"}, [])
    flow.put(in_per_s=888_888)
    live.publish()
    assert len(told) == 3


def test_what_is_the_same_is_not_sent_but_for_a_sign_of_life(flow, live, told, monkeypatch):
    shown(lambda: live.show(panel_of(flow, live), live=True))
    live._view._hear(None, {"act": "here", "arg": "page"}, [])
    live.publish()
    told.clear()
    live.publish()
    live.publish()
    assert told == []
    monkeypatch.setattr(live, "_put_at", live._put_at - live_module.BEAT_S)
    flow.now = type(flow.now)(**{**fields(flow.now), "at": flow.now.at + 60})
    live.publish()
    assert [set(sent) for sent in told] == [{"put", "label"}]
    assert set(told[0]["put"]) == {"silent", "foot"}


def fields(snapshot):
    return {name: getattr(snapshot, name) for name in snapshot.__slots__}


@pytest.mark.parametrize(
    ("error", "said"),
    [(UsageError("app is <gone>"), "app is &lt;gone&gt;"), (TimeoutError(), "an async processor")],
)
def test_a_flow_that_is_gone_or_does_not_answer_is_said_and_the_rest_stays(
    flow, live, told, error, said
):
    def fail(_timeout):
        raise error

    shown(lambda: live.show(panel_of(flow, live), live=True))
    live._view._hear(None, {"act": "here", "arg": "page"}, [])
    live.publish()
    flow.snapshot = fail
    live.publish()
    assert said in told[-1]["put"]["health"]
    assert "2,140" in live._view._pieces.told["rows/price"]


class Clock:
    """Seconds that the test sets."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def view_at(clock, hears=lambda: True):
    view = View("label", {"a": "1"}, lambda _: None, hears, clock)
    view._hear(None, {"act": "here", "arg": "page"}, [])
    return view


def test_a_page_that_no_longer_answers_is_given_up(bare, told):
    clock = Clock()
    view = view_at(clock)
    assert view.watched
    clock.at += view_module.ANSWER_S + 1
    assert not view.watched
    view._hear(None, {"act": "here", "arg": "page"}, [])
    assert view.watched
    view.close()


def test_a_page_that_answers_is_kept(bare, told):
    clock = Clock()
    view = view_at(clock)
    for _ in range(5):
        assert view.watched
        view._hear(None, {"act": "here", "arg": "page"}, [])
        clock.at += view_module.ANSWER_S + 1
        assert view.watched
    view.close()


def test_nobody_is_given_up_while_the_kernel_hears_no_answer(bare, told):
    clock, hears = Clock(), [True]
    view = view_at(clock, lambda: hears[0])
    assert view.watched
    hears[0] = False
    for _ in range(3):
        clock.at += view_module.ANSWER_S + 1
        assert view.watched
    hears[0] = True
    assert view.watched  # it is asked anew first
    clock.at += view_module.ANSWER_S + 1
    assert not view.watched
    view.close()


def test_what_a_page_sends_that_is_no_message_is_passed_over(bare, told):
    view = view_at(Clock())
    for content in (None, [], {}, {"act": 3}, {"act": None, "arg": "x"}):
        view._hear(None, content, [])
    view.close()


def test_an_act_that_fails_does_not_reach_the_message_loop(bare, told, caplog):
    def fail(_):
        raise ZeroDivisionError

    view = View("label", {}, fail)
    view._hear(None, {"act": "do"}, [])
    assert "could not be taken: 'do'" in caplog.text
    view.close()


def test_a_newer_panel_takes_over_and_the_older_one_says_where(flow, live):
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    shown(lambda: live.show(panel_of(flow, live), live=True))
    first = live._view
    update, *_ = shown(lambda: live.show(panel_of(flow, live, "cell [9]"), live=True))
    assert "the live view is in cell [9]; this is how it was" in update["text/html"]
    assert f'data-bf-twin="{first.twin}"' in update["text/html"]
    assert len(set(_instances) - before) == 2  # the newer widget and its layout
    flow.put(elements_in=1)
    (later,) = shown(live.refresh)  # the older twin stays as it was
    assert f'data-bf-twin="{live._view.twin}"' in later["text/html"]


def test_twins_are_refreshed_only_when_there_is_something_new_to_read(flow, live):
    shown(lambda: live.show(panel_of(flow, live), live=True))
    assert shown(live.refresh) == []
    flow.put(history=(1, 2, 3))
    assert shown(live.refresh) == []
    flow.put(elements_in=777_777)
    (bundle,) = shown(live.refresh)
    assert "777,777" in bundle["text/plain"]
    assert "777,777" in bundle["text/html"]
    assert shown(live.refresh) == []


def test_only_the_last_twins_are_kept(flow, live):
    shows = live_module.MOST_TWINS + 3
    shown(lambda: [live.show(panel_of(flow, live), live=False) for _ in range(shows)])
    flow.put(elements_in=1)
    assert len(shown(live.refresh)) == live_module.MOST_TWINS


def test_a_run_that_does_not_answer_keeps_its_date(flow, live, monkeypatch):
    shown(lambda: live.show(panel_of(flow, live), live=False))

    def silent(_timeout):
        raise TimeoutError

    monkeypatch.setattr(flow, "snapshot", silent)
    assert shown(live.refresh) == []


def test_a_flow_that_has_not_answered_yet_is_shown_as_it_is_declared(flow, live, monkeypatch):
    def silent(_timeout):
        raise TimeoutError

    monkeypatch.setattr(flow, "snapshot", silent)
    (bundle,) = shown(lambda: live.show(panel_of(flow, live), live=False))
    assert "shop · stack local · local cloud · pending" in bundle["text/plain"]


def test_a_picture_that_cannot_be_drawn_does_not_end_those_that_follow(flow, monkeypatch, caplog):
    monkeypatch.setattr(live_module, "EVERY_S", 0.001)
    live, drawn = Live(updates=True), threading.Event()

    def publish():
        live.wake()
        if not caplog.records:
            raise ZeroDivisionError
        drawn.set()
        return False

    monkeypatch.setattr(live, "publish", publish)
    shown(lambda: live.show(panel_of(flow, live), live=True))
    assert drawn.wait(DEADLINE_S)
    assert "could not be drawn" in caplog.text
    shown(live.close)


def test_a_terminal_is_not_told_again_after_each_cell(flow):
    live = Live(updates=False)
    (bundle,) = shown(lambda: live.show(panel_of(flow, live), live=True))
    assert WIDGET_VIEW not in bundle
    flow.put(elements_in=777_777)
    assert shown(live.refresh) == []


def test_publishing_says_whether_the_flow_is_at_work(flow, live):
    assert not live.publish()
    shown(lambda: live.show(panel_of(flow, live), live=True))
    assert live.publish()
    flow.handle.running = False
    flow.now = type(flow.now)(**{**fields(flow.now), "state": State.DONE})
    assert not live.publish()


def threads():
    return [t for t in threading.enumerate() if t.name == "buildflow panel"]


def test_the_thread_publishes_what_is_new_and_ends_with_the_panel(flow, monkeypatch, told):
    monkeypatch.setattr(live_module, "EVERY_S", 0.001)
    published = threading.Event()
    live = Live(updates=True)
    monkeypatch.setattr(live, "_put", lambda *_: published.set())
    shown(lambda: live.show(panel_of(flow, live), live=True))
    (thread,) = threads()
    assert thread.daemon
    live._view._hear(None, {"act": "here", "arg": "page"}, [])
    live.wake()
    assert published.wait(DEADLINE_S)
    shown(live.close)
    thread.join(DEADLINE_S)
    assert threads() == []


def test_a_page_heard_beside_the_cell_is_asked_while_the_cell_runs(bare, told):
    view = View("panel", {}, lambda _: None, hears=lambda: False)
    subshell = threading.Thread(target=view._hear, args=(None, {"act": "here", "arg": "a"}, []))
    subshell.start()
    subshell.join(DEADLINE_S)
    assert view.watched
    assert {"ask": True} in told


def test_a_click_is_acknowledged_before_it_is_taken(bare, told):
    view = View("panel", {}, lambda _: told.append("taken"))
    told.clear()
    view._hear(None, {"act": "select", "arg": "price", "n": 7}, [])
    assert told == [{"heard": 7}, "taken"]
