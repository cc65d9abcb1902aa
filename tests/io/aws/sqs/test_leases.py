"""Leases of received messages, by a clock that is turned by hand."""

from __future__ import annotations

import pytest

from buildflow_nb.io.aws.sqs.client import Message
from buildflow_nb.io.aws.sqs.leases import LONGEST_S, MOST_DONE, MessageLeases
from buildflow_nb.io.leases import AGAIN_S, Fate
from tests.io.clock import ManualClock

LEASE_S = 30


@pytest.fixture
def now():
    return ManualClock()


@pytest.fixture
def leases(now):
    return MessageLeases(now)


def of(i, times=1):
    return Message(i, f"{i} #{times}", i, times)


def taken(leases, *ids):
    return [receipt for _, receipt in leases.receive(map(of, ids), LEASE_S).fresh]


def test_a_lease_is_renewed_at_half_its_time(leases, now):
    a, b = taken(leases, "a", "b")
    now.at += 14.9
    assert leases.due() == []
    now.at += 0.1
    assert leases.due() == [a, b]
    leases.renewed([a], LEASE_S, now())
    assert leases.due() == [b]
    now.at += 15
    assert leases.due() == [a, b]


def test_a_lease_is_renewed_until_its_delete_has_been_answered(leases, now):
    a, b = taken(leases, "a", "b")
    assert leases.settling([b, "unknown"], Fate.DELETE) == [b]
    now.at += 20
    assert leases.due() == [a, b]
    leases.settled([b])
    assert leases.due() == [a]
    assert (leases.held(), len(leases)) == ([a], 1)
    assert leases.settling([b], Fate.DELETE) == []


def test_what_is_shown_again_is_not_hidden_again(leases, now):
    (a,) = taken(leases, "a")
    leases.settling([a], Fate.SHOW)
    now.at += 20
    assert leases.due() == []


def test_what_could_not_be_settled_is_kept_for_a_while_and_may_be_settled_again(leases, now):
    a, b, _ = taken(leases, "a", "b", "c")
    leases.unsettled(leases.settling([a], Fate.DELETE))
    leases.unsettled(leases.settling([b], Fate.SHOW))
    assert leases.settling([a], Fate.DELETE) == [a]
    leases.unsettled([a])
    now.at += AGAIN_S
    leases.due()
    assert len(leases) == 1  # the others keep no room any more
    found = leases.receive([of("a", 2), of("b", 2)], LEASE_S)
    assert found.done == {"a": "a #2"}
    assert [message.id for message, _ in found.fresh] == ["b"]


def test_renewal_ends_before_sqs_refuses_it(leases, now):
    (a,) = taken(leases, "a")
    now.at += LONGEST_S - 1
    assert leases.due() == [a]
    now.at += 1
    assert leases.due() == []
    assert leases.held() == [a]
    (again,) = leases.receive([of("a", 2)], LEASE_S).fresh
    assert again[1] is not a
    assert leases.settling([a], Fate.DELETE) == []


def test_a_lost_lease_is_left_alone_until_the_message_comes_again(leases, now):
    (a,) = taken(leases, "a")
    leases.lost([(a, a.handle)])
    now.at += 20
    assert leases.due() == []
    assert leases.receive([of("a", 2)], LEASE_S).fresh == []  # it is still worked on
    assert a.handle == "a #2"
    now.at += 15
    assert leases.due() == [a]
    leases.lost([(a, "a #1")])  # the answer of a call that was made before
    assert leases.due() == [a]
    assert leases.settling([a], Fate.DELETE) == [a]


def test_what_is_done_with_is_not_handed_out_again(leases):
    a, b = taken(leases, "a", "b")
    leases.settling([a], Fate.DELETE)
    leases.too_late([a])
    found = leases.receive([of("a", 2), of("b", 2), of("c")], LEASE_S)
    assert found.done == {"a": "a #2"}
    assert [message.id for message, _ in found.fresh] == ["c"]
    assert b.handle == "b #2"
    leases.deleted(["a"])
    assert len(leases.receive([of("a", 3)], LEASE_S).fresh) == 1


def test_what_was_done_too_late_is_remembered_within_a_bound(leases):
    for i in range(MOST_DONE + 1):
        leases.too_late(taken(leases, str(i)))
    assert leases.receive([of("1", 2)], LEASE_S).done == {"1": "1 #2"}
    assert len(leases.receive([of("0", 2)], LEASE_S).fresh) == 1


def test_what_was_given_back_comes_as_a_new_one(leases):
    (a,) = taken(leases, "a")
    leases.settled(leases.settling([a], Fate.SHOW))
    ((message, again),) = leases.receive([of("a", 2)], LEASE_S).fresh
    assert (message.times, again.pause_s) == (2, None)
    assert leases.settling([a], Fate.DELETE) == []
    assert leases.settling([again], Fate.DELETE) == [again]
