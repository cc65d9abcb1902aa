"""How many messages may be held, by what is measured."""

from __future__ import annotations

import pytest

from buildflow_nb.io.aws.sqs.allowance import Allowance
from tests.io.clock import ManualClock


@pytest.fixture
def now():
    return ManualClock()


@pytest.fixture
def allowance(now):
    return Allowance(now)


def calls(allowance, now, seconds, count=100):
    """So many calls, one after the other, of so many seconds."""
    for _ in range(count):
        with allowance.call():
            now.at += seconds


def test_it_begins_small_and_with_the_lease(allowance):
    assert allowance.most(3) == 90
    assert allowance.most(30) == 900


def test_a_slow_queue_is_left_one_batch(allowance, now):
    calls(allowance, now, 2.0)
    assert allowance.most(3) == 10


def test_as_many_as_could_be_renewed(allowance, now):
    calls(allowance, now, 0.01)  # a hundred calls a second, of ten messages each
    assert allowance.most(3) == pytest.approx(500, rel=0.01)
    assert allowance.most(30) == pytest.approx(5000, rel=0.01)


def test_calls_side_by_side_are_answered_side_by_side(allowance, now):
    for _ in range(100):
        with allowance.call(), allowance.call(), allowance.call():
            now.at += 0.02
    assert allowance.most(6) > 10 / 0.02 * 1.5


def test_as_many_as_go_through_in_a_third_of_a_lease(allowance, now):
    calls(allowance, now, 2.0)
    allowance.begin()
    for _ in range(40):
        now.at += 0.1
        allowance.settled(100)
    assert allowance.most(3) == pytest.approx(1000, rel=0.01)


def test_what_was_settled_long_ago_says_nothing(allowance, now):
    calls(allowance, now, 2.0)
    allowance.settled(100_000)
    now.at += 6
    assert allowance.most(3) == 10


def test_a_quiet_time_is_no_slow_one(allowance, now):
    calls(allowance, now, 2.0)
    now.at += 4
    allowance.begin()
    now.at += 0.1
    allowance.settled(100)
    assert allowance.most(3) == pytest.approx(1000, rel=0.01)
