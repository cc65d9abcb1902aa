"""Clicks become lines, and lines become work on a thread of their own."""

import threading

import pytest

from buildflow_nb.cockpit.panel import click_queue as desk_module
from buildflow_nb.cockpit.panel.click_queue import ClickQueue, Said
from buildflow_nb.core.errors import InfraError, RejectedError, UsageError

DEADLINE_S = 10


class Bench:
    """A clicks whose verbs the test performs, and a wait for what it says."""

    def __init__(self):
        self.news = threading.Condition()
        self.clicks = ClickQueue(self._changed)
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()

    def _changed(self):
        with self.news:
            self.news.notify_all()

    def until(self, condition):
        with self.news:
            assert self.news.wait_for(condition, DEADLINE_S)

    def slow(self, _values):
        self.began.release()
        assert self.go_on.wait(DEADLINE_S)
        return "done"


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.go_on.set()


def test_what_ends_something_does_not_wait_for_it(bench):
    ended = []
    bench.clicks.handlers["record"] = lambda v: ended.append(1) or "" if v["end"] else bench.slow(v)
    bench.clicks.click("%buildflow record price 100")
    bench.clicks.click("%buildflow record price --end")
    bench.until(lambda: ended == [1])


def test_a_click_is_its_line_done_elsewhere_and_told(bench):
    seen = []
    bench.clicks.handlers["stop"] = lambda values: seen.append(values) or "stopped"
    bench.clicks.click("%buildflow stop price --timeout 3s")
    bench.until(lambda: bench.clicks.said == "stopped")
    assert seen == [{"ids": ["price"], "no_drain": False, "timeout": 3.0, "flow": None}]
    assert bench.clicks.tone == "ok"
    assert bench.clicks.last == "%buildflow stop price --timeout 3s"
    assert [click.line for click in bench.clicks.history.clicks] == [bench.clicks.last]


@pytest.mark.parametrize("line", ["%buildflow rnu", "import os", "%buildflow stop --prot", ""])
def test_what_is_no_line_cannot_be_clicked(bench, line):
    with pytest.raises(UsageError):
        bench.clicks.click(line)
    assert bench.clicks.history.clicks == []


def test_a_line_of_the_table_that_no_button_has_cannot_be_clicked(bench):
    with pytest.raises(UsageError, match="nest_asyncio is for cells"):
        bench.clicks.click("%buildflow nest_asyncio")


def test_a_line_under_way_is_off_and_clicked_again_it_is_not_done_twice(bench):
    bench.clicks.handlers |= {"stop": bench.slow, "run": bench.slow}
    bench.clicks.click("%buildflow stop")
    assert bench.began.acquire(timeout=DEADLINE_S)
    assert bench.clicks.off("%buildflow stop") == "under way"
    assert bench.clicks.off("%buildflow run") == ""
    bench.clicks.click("%buildflow stop")
    assert "under way" in bench.clicks.said
    bench.go_on.set()
    bench.until(lambda: bench.clicks.off("%buildflow stop") == "")
    assert not bench.began.acquire(blocking=False)


def test_operations_exclude_each_other_but_not_the_rest(bench):
    bench.clicks.handlers |= {"apply": bench.slow, "stop": lambda _: "stopped"}
    bench.clicks.click("%buildflow apply")
    assert bench.began.acquire(timeout=DEADLINE_S)
    assert "%buildflow apply is under way" in bench.clicks.off("%buildflow destroy")
    bench.clicks.click("%buildflow stop")
    bench.until(lambda: bench.clicks.said == "stopped")


@pytest.mark.parametrize(
    ("error", "tone"),
    [(InfraError("no engine"), "err"), (RejectedError("no"), "mute"), (KeyError("x"), "err")],
)
def test_what_goes_wrong_is_one_line_and_the_lane_goes_on(bench, error, tone):
    def fail(_values):
        raise error

    bench.clicks.handlers |= {"check": fail, "stop": lambda _: "stopped"}
    bench.clicks.click("%buildflow check")
    bench.until(lambda: bench.clicks.tone == tone)
    assert str(error) in bench.clicks.said
    bench.clicks.click("%buildflow stop")
    bench.until(lambda: bench.clicks.said == "stopped")


def test_clicks_beyond_measure_are_dropped_and_said(bench):
    bench.clicks.handlers |= {"stop": bench.slow}
    for i in range(desk_module.WAITING + 2):
        bench.clicks.click(f"%buildflow stop p{i}")
        if i == 0:
            assert bench.began.acquire(timeout=DEADLINE_S)
    assert "was dropped" in bench.clicks.said
    assert len(bench.clicks.history.clicks) == desk_module.WAITING + 1


def test_a_line_that_holds_a_secret_is_remembered_without_it(bench):
    bench.clicks.handlers["send"] = lambda values: values["element"]
    bench.clicks.click('%buildflow send pay "4111"', '%buildflow send pay "****"')
    bench.until(lambda: bench.clicks.said == '"4111"')
    assert bench.clicks.history.cell() == '%buildflow send pay "****"'
    assert bench.clicks.last == '%buildflow send pay "****"'


@pytest.mark.parametrize("line", ["run", "start price", "remove price"])
def test_what_begins_something_waits_for_the_cell_that_runs(line):
    between, news = threading.Event(), threading.Event()
    clicks = ClickQueue(news.set, between, lambda: "cell [4]")
    done = threading.Event()
    clicks.handlers[line.split()[0]] = lambda _: done.set() or "done"
    while not clicks.off(f"%buildflow {line}").startswith("waits"):
        news.clear()
        if not clicks.history.clicks:
            clicks.click(f"%buildflow {line}")
        assert news.wait(DEADLINE_S)
    assert clicks.off(f"%buildflow {line}") == "waits for cell [4]"
    assert not done.is_set()
    between.set()
    assert done.wait(DEADLINE_S)


def test_what_ends_something_never_waits_for_a_cell_nor_for_what_does():
    stopped = threading.Event()
    clicks = ClickQueue(lambda: None, threading.Event(), lambda: "cell [4]")
    clicks.handlers |= {"run": lambda _: "", "stop": lambda _: stopped.set() or ""}
    clicks.click("%buildflow run")
    clicks.click("%buildflow stop")
    assert stopped.wait(DEADLINE_S)


@pytest.mark.parametrize(("said", "tone"), [("fine", "ok"), (Said("2 errors", "err"), "err")])
def test_what_is_said_has_the_tone_of_what_was_found(bench, said, tone):
    bench.clicks.handlers["check"] = lambda _: said
    bench.clicks.click("%buildflow check")
    bench.until(lambda: bench.clicks.said)
    assert bench.clicks.tone == tone


def test_what_was_said_goes_when_the_next_line_begins_and_when_it_is_no_news(bench, monkeypatch):
    bench.clicks.say("preview: no such stack", "err")
    bench.clicks.handlers["check"] = bench.slow
    bench.clicks.click("%buildflow check")
    assert bench.began.acquire(timeout=DEADLINE_S)
    assert bench.clicks.said == ""
    bench.go_on.set()
    bench.until(lambda: bench.clicks.news == "done")
    monkeypatch.setattr(desk_module, "GONE_S", -1.0)
    assert bench.clicks.news == ""
    bench.clicks.say("it failed", "err")
    assert bench.clicks.news == "it failed"
