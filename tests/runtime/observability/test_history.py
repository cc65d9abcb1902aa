"""What a recorder writes down, second by second, by a clock that the test turns."""

from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise

import pytest

from buildflow_nb.core.events import StateChanged
from buildflow_nb.core.status.history import COARSE_S, NO_BACKLOG, History, Rows
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability import history
from buildflow_nb.runtime.observability.history import HistoryRecorder
from buildflow_nb.runtime.observability.ledger import Ledger

START = 1_700_000_000


class Hands:
    """A clock whose two hands are turned apart."""

    def __init__(self) -> None:
        self.moment, self.wall = 1_000.0, float(START)

    def now(self) -> float:
        return self.moment

    def time(self) -> float:
        return self.wall

    def turn(self, seconds: float, *, asleep: float = 0.0) -> None:
        self.moment += seconds
        self.wall += seconds + asleep


class Unit:
    """A processor at work that counts what the test says."""

    def __init__(self, name: str, clock: Hands) -> None:
        self.ledger = Ledger(name, clock)
        self.ledger.state = State.RUNNING
        self.backlog: int | None = None
        self._clock = clock

    def did(self, taken: int, given: int = 0, latency_s: float | None = None) -> None:
        metrics = self.ledger.metrics
        metrics.taken.add(taken, self._clock.now())
        metrics.given.add(given, self._clock.now())
        if latency_s is not None:
            metrics.latency.add(latency_s, taken, self._clock.now())

    def counted(self):
        return self.ledger.metrics.counted(self.backlog)


class Run:
    """Some units that a recorder looks at."""

    def __init__(self, *names: str) -> None:
        self.clock = Hands()
        self.units = {name: Unit(name, self.clock) for name in names}
        self.recorder = HistoryRecorder(lambda: self.units, self.clock)

    def second(self, **turned: float) -> None:
        self.clock.turn(1.0, **turned)
        self.recorder.look()

    def history(self, name: str = "price") -> History:
        return self.recorder.view(name).history(Rows(), (), self.clock.time())


@pytest.fixture
def run() -> Run:
    return Run("price")


def test_a_row_is_of_the_second_that_is_over(run):
    run.units["price"].did(3, 2, 0.25)
    run.second()
    run.units["price"].did(5)
    found = list(run.history().rows())
    assert [(row.at, row.taken, row.given) for row in found] == [(START, 3, 2)]
    run.second()
    assert [(row.at, row.taken) for row in run.history().rows()] == [(START, 3), (START + 1, 5)]


def test_latencies_are_those_of_the_second(run):
    run.units["price"].did(99, latency_s=0.001)
    run.units["price"].did(1, latency_s=4.0)
    run.second()
    run.units["price"].did(1, latency_s=2.0)
    run.second()
    run.second()
    first, second, third = run.history().rows()
    assert first.p50_s == pytest.approx(0.001, rel=0.08)
    assert first.p99_s == pytest.approx(0.001, rel=0.08)
    assert (second.p50_s, second.p99_s) == pytest.approx((2.0, 2.0), rel=0.08)
    assert math.isnan(third.p50_s)


def test_an_idle_processor_has_zeros_and_one_that_is_stopped_has_none(run):
    unit = run.units["price"]
    run.second()
    unit.did(2)
    unit.ledger.enter(State.STOPPED)
    for _ in range(3):
        run.second()
    unit.ledger.enter(State.RUNNING)
    unit.did(4)
    run.second()
    found = [(row.at - START, row.taken) for row in run.history().rows()]
    assert found == [(0, 0), (1, 2), (4, 4)]


def test_a_machine_that_sleeps_leaves_a_gap(run):
    run.second()
    run.units["price"].did(7)
    run.second(asleep=3_600)
    run.second()
    found = list(run.history().rows(START - 10))
    assert [(row.at - START, row.seconds) for row in found] == [(0, 1), (3_601, 1), (3_602, 1)]
    assert sum(row.taken for row in found) == 7


def test_a_loop_that_was_held_up_has_one_row_for_all_the_time(run):
    run.second()
    run.units["price"].did(40)
    run.clock.turn(4.0)
    run.recorder.look()
    found = [(row.at - START, row.seconds, row.taken) for row in run.history().rows()]
    assert found == [(0, 1, 0), (1, 4, 40)]


@pytest.mark.parametrize(("back", "kept"), [(1, 6), (3_600, 3)])
def test_times_only_grow_whatever_the_clock_does(run, back, kept):
    for _ in range(5):
        run.second()
    run.clock.wall -= back
    for _ in range(3):
        run.second()
    at = [row.at for row in run.recorder.view("price").fine]
    assert all(a < b for a, b in pairwise(at))
    assert len(at) == kept + (back == 1)


def test_ten_seconds_keep_the_sum_and_the_most(run):
    unit = run.units["price"]
    for second in range(COARSE_S):
        unit.backlog = 100 if second == 4 else 1
        unit.ledger.metrics.in_flight = second
        unit.did(second, latency_s=9.0 if second == 7 else 0.01)
        run.second()
    unit.backlog = None
    row, *_ = run.recorder.view("price").coarse
    assert (row.at, row.seconds, row.taken) == (START, COARSE_S, 45)
    assert (row.backlog, row.in_flight) == (100, 9)
    assert row.p50_s == pytest.approx(0.01, rel=0.08)
    assert row.p99_s == pytest.approx(9.0, rel=0.08)


def test_a_source_that_cannot_tell_has_no_backlog(run):
    run.second()
    assert next(iter(run.history().rows())).backlog == NO_BACKLOG


def test_an_end_does_not_wait_for_its_second(run):
    run.units["price"].did(5)
    run.clock.turn(0.3)
    run.recorder.look(ending=True)
    saved = run.recorder.unsaved()
    assert [(row.at, row.taken) for row in saved.rows["price"]] == [(START, 5)]
    assert not run.recorder.unsaved()


def test_marks_say_what_was_started_swapped_and_stopped(run):
    unit = run.units["price"]
    run.second()
    run.recorder.hear(StateChanged(run.clock.time(), "price", State.STARTING, ""))
    unit.ledger.version = 3
    run.second()
    run.recorder.hear(StateChanged(run.clock.time(), "price", State.FAILED, "no table"))
    run.recorder.hear(StateChanged(run.clock.time(), None, State.STOPPED, ""))
    run.recorder.mark("applied")
    said = [(mark.at - START, mark.said) for mark in run.history().marks]
    assert said == [(1, "started"), (1, "swapped v3"), (2, "failed"), (2, "applied")]


def test_the_next_run_goes_on_and_counts_from_nothing(run):
    run.units["price"].did(50)
    run.second()
    again = Run("price")
    again.clock = run.clock
    again.units = {"price": Unit("price", run.clock)}
    again.recorder = HistoryRecorder(lambda: again.units, run.clock)
    again.recorder.go_on(run.recorder)
    again.units["price"].did(3)
    again.second()
    assert [row.taken for row in again.history().rows()] == [50, 3]
    assert again.history().marks == ()


def test_what_a_replica_takes_out_and_brings_again_is_not_counted_twice(run):
    unit = run.units["price"]
    unit.did(100)
    run.second()
    unit.ledger.metrics.taken.total = 0
    run.second()
    unit.ledger.metrics.taken.total = 105
    run.second()
    assert [row.taken for row in run.history().rows()] == [100, 0, 5]


def test_a_failure_that_is_retried_stays_in_the_second_in_which_it_failed(run):
    metrics = run.units["price"].ledger.metrics
    metrics.failed += 1
    metrics.failures += 1
    run.second()
    metrics.failed -= 1
    run.second()
    metrics.failed += 1
    metrics.failures += 1
    run.second()
    assert [row.failed for row in run.history().rows()] == [1, 0, 1]


def test_memory_is_bounded_however_long_it_runs(run, monkeypatch):
    kept_s, block = 7_200, 36
    monkeypatch.setattr(history, "COARSE_KEPT_S", kept_s)
    monkeypatch.setattr(history, "BLOCK", block)
    tracemalloc.start()
    try:
        for second in range(3 * kept_s):
            if second % 7 == 0:
                run.units["price"].did(second % 13, latency_s=0.01)
            run.second()
            if second == kept_s:
                at_first, _ = tracemalloc.get_traced_memory()
        at_last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert at_last < 1.1 * at_first < 300_000
    view = run.recorder.view("price")
    assert len(view.fine) <= 660
    assert len(view.coarse) <= block + 1
    rows = run.history().rows(fine=False)
    assert kept_s - 20 <= rows.at[-1] + rows[-1].seconds - rows.at[0] <= kept_s + COARSE_S
    assert all(b - a <= COARSE_S for a, b in pairwise(rows.at))
