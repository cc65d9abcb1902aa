"""Where receive calls leave what they bring, over a queue in memory."""

from __future__ import annotations

import asyncio

import pytest

from buildflow_nb.io.aws.sqs.allowance import Allowance
from buildflow_nb.io.aws.sqs.leases import MessageLeases
from buildflow_nb.io.aws.sqs.receive_buffer import ReceiveBuffer
from buildflow_nb.io.aws.sqs.source import MAX_RECEIVES
from tests.io.aws.sqs.fake_queue import FakeQueue
from tests.io.clock import ManualClock
from tests.io.contract import run


@pytest.fixture
def now():
    return ManualClock()


@pytest.fixture
def queue(now):
    return FakeQueue(now)


def ids(count):
    return [f"m{i}" for i in range(count)]


def made(queue, now):
    leases = MessageLeases(now)
    return ReceiveBuffer(queue, leases, Allowance(now), now), leases


def test_a_call_is_not_made_again_when_as_many_batches_lie_here(queue, now):
    queue.put(*ids(100))
    buffer, _ = made(queue, now)
    buffer.most = 3
    assert buffer.expect()
    run(buffer.fetch())
    assert queue.calls["receive"] == 3
    assert not buffer.expect()
    assert buffer.unread() == 30
    assert [len(batch) for batch in buffer.take()] == [10, 10, 10]
    assert buffer.expect()


def test_batches_do_not_count_as_calls(queue, now):
    queue.put(*ids(100))
    buffer, _ = made(queue, now)
    buffer.most = 2
    assert buffer.expect()
    buffer.pause()
    run(buffer.fetch())
    assert [buffer.expect() for _ in range(3)] == [True, True, False]


def test_no_call_begins_that_may_bring_more_than_is_allowed(now):
    queue = FakeQueue(now, lease_s=1)  # thirty messages, until something is measured
    queue.put(*ids(200))
    buffer, leases = made(queue, now)
    buffer.most = MAX_RECEIVES
    assert buffer.expect()
    run(buffer.fetch())
    assert len(leases) == 30
    assert not buffer.expect()


def test_what_comes_after_closing_is_shown_to_others(queue, now):
    queue.put("a")
    buffer, leases = made(queue, now)
    receive = queue.receive

    async def closed_meanwhile(wait_s):
        found = await receive(wait_s)
        buffer.close()
        return found

    queue.receive = closed_meanwhile
    assert buffer.expect()
    run(buffer.fetch())
    assert (buffer.take(), len(leases)) == ([], 0)
    assert queue.visible_in("a") == 0
    assert not buffer.expect()


def test_a_call_that_has_not_begun_when_it_is_closed_is_not_made(queue, now):
    buffer, _ = made(queue, now)
    assert buffer.expect()
    buffer.close()
    run(buffer.fetch())
    assert queue.calls["receive"] == 0


def test_calls_wait_for_longer_while_nothing_comes(queue, now):
    buffer, _ = made(queue, now)
    for _ in range(9):
        assert buffer.expect()
        run(buffer.fetch())
    assert queue.waits == [1, 1, 1, 1, 2, 4, 8, 16, 20]
    queue.put("a")
    for _ in range(2):
        assert buffer.expect()
        run(buffer.fetch())
        buffer.take()
    assert queue.waits[9:] == [20, 1]


def test_empty_calls_side_by_side_are_one_round(queue, now):
    buffer, _ = made(queue, now)
    buffer.most, buffer.lease_s = 8, 30
    assert all(buffer.expect() for _ in range(8))
    calls = [buffer._begin() for _ in range(8)]
    for call in calls:
        run(buffer._leave(call, [], None))
    assert buffer.expect()
    run(buffer.fetch())
    assert queue.waits == [1]


def test_a_fault_that_would_end_the_loop_is_a_fault_of_the_queue(queue, now):
    queue.faults["receive"] = [SystemExit(3)]
    buffer, _ = made(queue, now)
    assert buffer.expect()
    run(buffer.fetch())
    assert str(buffer.fault()) == "queue 'fake' cannot be read: SystemExit"
    assert buffer.expect()


def test_a_call_that_the_end_of_the_loop_cancels_is_not_counted_on(queue, now):
    buffer, _ = made(queue, now)
    assert buffer.expect()
    queue.before_answer.clear()

    async def go():
        call = asyncio.ensure_future(buffer.fetch())
        await queue.asked.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return call.cancelled()

    assert run(go())
    assert buffer.expect()
