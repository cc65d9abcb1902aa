"""Leases of received messages, whichever queue they are from, and pauses of those that failed."""

from __future__ import annotations

import pytest

from buildflow_nb.io.leases import AGAIN_S, LONGEST_PAUSE_S, REMEMBERED, Fate, Leases, Pauses
from tests.io.clock import ManualClock

LEASE_S = 60


@pytest.fixture
def now():
    return ManualClock()


@pytest.fixture
def leases(now):
    return Leases(3600.0, now)


def taken(leases, *ids):
    return leases.take([(f"m {i}", i, 1) for i in ids], LEASE_S)


def test_a_lease_is_renewed_at_half_its_time(leases, now):
    a, b = taken(leases, "a", "b")
    now.at += 29
    assert leases.due() == []
    (c,) = taken(leases, "c")
    now.at += 1
    assert leases.due() == [a, b]
    leases.renewed([a], LEASE_S, now())
    assert leases.due() == [b]
    now.at += 30
    assert leases.due() == [a, b, c]


def test_a_lease_is_renewed_until_the_queue_has_answered(leases, now):
    a, b = taken(leases, "a", "b")
    assert leases.settling([a, "x", None], Fate.DELETE) == [a]
    now.at += 40
    assert leases.due() == [a, b]
    leases.renewed([a, b], LEASE_S, now())
    assert leases.due() == []
    assert leases.settling([a], Fate.DELETE) == [a]
    leases.settled([a])
    assert leases.settling([a], Fate.DELETE) == []
    assert (leases.held(), len(leases)) == ([b], 1)


def test_what_is_given_back_is_not_renewed(leases, now):
    (a,) = taken(leases, "a")
    assert leases.settling([a], Fate.SHOW) == [a]
    assert leases.held() == []
    now.at += 40
    assert leases.due() == []
    leases.renewed([a], LEASE_S, now())  # the answer of a call that was made before
    now.at += 40
    assert leases.due() == []


def test_what_could_not_be_settled_is_kept_for_a_while(leases, now):
    a, b = leases.take([("m1", "a", 0), ("m2", "b", 3)], LEASE_S)
    assert (b.id, b.handle, b.times) == ("m2", "b", 3)
    leases.unsettled(leases.settling([a], Fate.DELETE))
    leases.unsettled(leases.settling([b], Fate.SHOW))
    assert leases.settling([a], Fate.DELETE) == [a]
    leases.unsettled([a])
    now.at += AGAIN_S
    assert leases.due() == []
    assert len(leases) == 0
    assert leases.settling([a, b], Fate.DELETE) == []


def test_what_the_queue_is_being_told_of_is_kept_until_it_answers(leases, now):
    (a,) = taken(leases, "a")
    leases.settling([a], Fate.DELETE)
    now.at += 3600
    assert leases.due() == []
    assert leases.settling([a], Fate.DELETE) == [a]


def test_a_lease_is_renewed_for_the_longest_time_and_no_longer(leases, now):
    (a,) = taken(leases, "a")
    for _ in range(119):
        now.at += 30
        assert leases.due() == [a]
        leases.renewed([a], LEASE_S, now())
    now.at += 30
    assert leases.due() == []


def test_a_lease_counts_from_when_it_was_asked_for(leases, now):
    (a,) = taken(leases, "a")
    now.at += 30
    leases.renewed([a], LEASE_S, now() - 10)
    now.at += 20
    assert leases.due() == [a]


def test_a_lost_lease_is_not_renewed(leases, now):
    a, b = taken(leases, "a", "b")
    leases.lost([(a, "a"), (b, "another")])
    now.at += 30
    assert leases.due() == [b]
    assert leases.settling([a], Fate.DELETE) == [a]


def test_pauses_grow_up_to_some_minutes():
    pauses = Pauses()
    found = [pauses.after_failure("a") for _ in range(12)]
    assert found == [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        256,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
    ]
    assert pauses.after_failure("b") == 1


def test_failures_before_this_run_count_up_to_half_a_minute():
    assert [Pauses().after_failure("a", times) for times in (0, 1, 2, 4, 6, 1000)] == [
        1,
        1,
        2,
        8,
        32,
        32,
    ]
    pauses = Pauses()
    assert [pauses.after_failure("a", times) for times in (3, 9, 10)] == [4, 8, 16]


def test_the_pauses_of_what_is_done_begin_anew():
    pauses = Pauses()
    pauses.after_failure("a")
    pauses.forget(["a", "unknown"])
    assert pauses.after_failure("a") == 1


def test_no_more_failures_are_remembered_than_a_bound():
    pauses = Pauses()
    for i in range(REMEMBERED + 1):
        pauses.after_failure(str(i))
    assert pauses.after_failure("1") == 2
    assert pauses.after_failure("0") == 1
