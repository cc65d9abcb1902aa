"""What the policy promises, on whole courses of a queue in a model."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import pytest

from buildflow_nb.core.options import ConsumerOptions
from tests.autoscale.rules import BuildFlows, Ours, Serves, changes
from tests.autoscale.simulation import LOADS, Course, Load, run, sawtooth, steps

MOST = 40
BY_NAME = {load.name: load for load in LOADS}


def ours(load: Load, most: int = MOST, **options) -> Course:
    return run(load, Ours(ConsumerOptions(**options), most))


@lru_cache
def named(name: str) -> Course:
    least = 0 if name.startswith("idle") else 1
    return ours(BY_NAME[name], min_replicas=least)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("need", [0.4, 0.9, 1.7, 3.1, 6.5, 12.2])
def test_in_steady_state_replicas_do_not_come_and_go(need, seed):
    load = Load("steady", lambda _: 10 * need, 3_600, start=round(need) or 1, seed=seed)
    course = ours(load)
    settled = set(course.wanted[1_200:])
    assert max(settled) - min(settled) <= 1
    assert changes(course.wanted[1_200:]) <= 2
    assert max(settled) <= max(2, need / 0.8 * 1.2 + 1)
    assert course.late_s() == 0


@pytest.mark.parametrize("name", ["step from 1 to 6 replicas", "the same, waiting code at 5 % CPU"])
def test_a_step_is_caught_up_with_soon_and_without_overshoot(name):
    course = named(name)
    caught_up = course.caught_up(305)
    assert caught_up is not None
    assert caught_up <= 90  # two doublings, and the threshold
    assert course.overshoot <= 1.35
    assert course.late_s() == 0


def test_what_rises_slowly_is_never_late():
    course = named("ramp from 1 to 12 replicas")
    assert course.late_s() == 0
    assert course.wanted[300:1_200] == sorted(course.wanted[300:1_200])
    assert course.overshoot <= 1.25


def test_a_long_backlog_is_gone_within_the_threshold_if_there_may_be_enough():
    load = BY_NAME["a backlog of an hour"]
    course = ours(load, most=1_000)
    caught_up = course.caught_up(1)
    assert caught_up is not None
    assert caught_up <= 60 + 60  # the threshold, and the doublings until there are enough
    assert course.wanted[-1] == 1


def test_no_more_than_there_may_be():
    course = ours(BY_NAME["a backlog of an hour"], max_replicas=5)
    assert max(course.wanted) == 5
    assert course.backlog[-1] < course.backlog[0] / 2


def test_never_up_while_the_sink_waits():
    course = named("sink away for 5 min")
    assert set(course.wanted[600:901]) == {4}
    assert course.caught_up(900) <= 120


def test_poison_has_no_replicas_added():
    assert set(named("poison: all fail").wanted) == {1}


def test_a_limit_elsewhere_is_found_and_left_alone():
    course = named("limit elsewhere, of 2 replicas")
    assert max(course.wanted) == 4
    spent = sum(course.wanted[400:]) / len(course.wanted[400:])
    assert spent < 2.2
    assert any("so something else is the limit" in said for said in course.said)


def test_to_none_when_idle_and_up_with_the_first_element():
    course = named("idle, then 1 replica, then idle")
    assert course.replicas[899] == 0
    assert course.wanted[910] == 1
    assert course.late_s() == 0
    assert course.replicas[-1] == 0


def test_back_down_after_a_spike():
    course = named("spike, 20 s at 40 replicas")
    assert course.caught_up(320) <= 120
    assert course.wanted[-1] <= 2


def test_what_comes_in_waves_keeps_its_replicas():
    course = ours(Load("waves", sawtooth(200, 5, 75), 3_600))
    late = course.wanted[600:]
    assert min(late) >= 7
    assert course.late_s() == 0


@pytest.mark.parametrize("seed", range(3))
def test_bursts_are_never_late_for_long(seed):
    load = dataclasses.replace(BY_NAME["bursts"], seed=seed)
    course = ours(load)
    assert course.late_s() <= 30
    assert course.overshoot <= 2.0


def test_a_source_that_cannot_tell_is_kept_up_with_by_how_busy_workers_are():
    course = ours(Load("blind", steps((0, 8), (300, 55)), 2_400, tells=False))
    assert course.caught_up(305) <= 180
    assert course.wanted[-1] <= 12


def test_every_load_takes_fewer_replicas_than_serve_and_is_not_later_than_buildflow():
    late = dict.fromkeys((Ours, BuildFlows, Serves), 0)
    spent = dict(late)
    for load in LOADS:
        for kind in late:
            course = run(load, kind(ConsumerOptions(), MOST))
            late[kind] += course.late_s() if load.limit > 1e6 and not load.poison else 0
            spent[kind] += course.replica_seconds
    assert late[Ours] < late[BuildFlows] / 2
    assert spent[Ours] < spent[Serves] / 3
