"""A queue's source over a queue in memory: what it takes, keeps, gives back and calls empty."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.primitive import Releasing
from buildflow_nb.io.aws.sqs.source import MAX_RECEIVES, SqsSource
from tests.io.aws.sqs.fake_queue import FakeQueue
from tests.io.clock import ManualClock
from tests.io.contract import drain, run


@pytest.fixture
def now():
    return ManualClock()


@pytest.fixture
def queue(now):
    return FakeQueue(now)


def ids(count, first=0):
    return [f"m{i}" for i in range(first, first + count)]


@asynccontextmanager
async def opened(queue, now):
    async with SqsSource(queue, now) as source:
        yield source


class TestDemand:
    """How many calls a source makes at once, by how its messages are waited for."""

    def test_a_consumer_that_waits_gets_more_calls(self, queue, now):
        queue.put(*ids(4000))
        queue.lease = 10_000

        async def go():
            async with opened(queue, now) as source:
                first = await source.pull()
                calls = queue.calls["receive"]
                found = [len((await source.pull()).items) for _ in range(20)]
            return len(first.items), calls, found

        first, calls, found = run(go())
        assert (first, calls) == (10, 1)
        assert max(found) > 10
        assert max(found) <= 2 * 10 * MAX_RECEIVES

    def test_a_wait_that_is_short_beside_the_work_asks_for_no_more(self, queue, now):
        queue.put(*ids(200))
        queue.lease = 10_000

        async def go():
            found = []
            async with opened(queue, now) as source:
                for _ in range(8):
                    found.append(len((await source.pull()).items))
                    now.at += 60
            return found

        assert run(go()) == [10] * 8


class TestEmptiness:
    def test_a_pull_of_an_empty_queue_comes_back_empty(self, queue, now):
        async def go():
            async with opened(queue, now) as source:
                return [len((await source.pull()).items) for _ in range(3)]

        assert run(go()) == [0, 0, 0]
        assert queue.calls["receive"] == 3

    def test_an_answer_to_a_call_from_before_says_nothing(self, queue, now):
        async def go():
            async with opened(queue, now) as source:
                queue.before_answer.clear()
                first = asyncio.ensure_future(source.pull())
                await queue.asked.wait()
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                queue.put("late")  # the call under way has already found nothing
                second = asyncio.ensure_future(source.pull())
                await asyncio.sleep(0)
                queue.before_answer.set()
                return (await second).items

        assert run(go()) == ["late"]

    def test_a_slow_answer_is_no_empty_one(self, queue, now):
        queue.put(*ids(3))

        async def go():
            async with opened(queue, now) as source:
                queue.before_answer.clear()
                pull = asyncio.ensure_future(source.pull())
                await queue.asked.wait()
                early = pull.done()
                queue.before_answer.set()
                return early, (await pull).items

        assert run(go()) == (False, ids(3))

    def test_a_fault_is_no_empty_answer(self, queue, now):
        queue.faults["receive"] = [TemporaryError("busy")]
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                with pytest.raises(TemporaryError, match="busy"):
                    await source.pull()
                return (await source.pull()).items

        assert run(go()) == ["a"]

    def test_the_backlog_counts_what_others_hide_and_not_what_is_held(self, queue, now):
        queue.put(*ids(15))
        others = queue.taken()[:4]
        run(queue.change_visibility({message.handle: 500 for message in others}))
        now.at += queue.lease

        async def go():
            async with opened(queue, now) as source:
                before = await source.backlog()
                batch = await source.pull()
                held = await source.backlog()
                await source.settle(batch.receipts, ok=True)
                return before, held, await source.backlog()

        assert run(go()) == (15, 5, 5)

    def test_what_was_given_back_with_a_pause_is_backlog(self, queue, now):
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                await source.settle(batch.receipts, ok=False)
                return await source.backlog(), (await source.pull()).items

        assert run(go()) == (1, [])


class TestGivingBack:
    def test_what_failed_waits_with_growing_time(self, queue, now):
        queue.put("poison")
        pauses = []

        async def go():
            async with opened(queue, now) as source:
                while len(pauses) < 10:
                    batch = await source.pull()
                    await source.settle(batch.receipts, ok=False)
                    pauses.append(queue.visible_in("poison"))
                    now.at += pauses[-1]

        run(go())
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]

    def test_telling_it_again_is_no_further_failure(self, queue, now):
        queue.put("a")
        queue.faults["change_visibility"] = [TemporaryError("busy")] * 4

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                for _ in range(4):
                    with pytest.raises(TemporaryError, match="busy"):
                        await source.settle(batch.receipts, ok=False)
                await source.settle(batch.receipts, ok=False)

        run(go())
        assert queue.visible_in("a") == 1

    def test_neighbours_have_pauses_of_their_own(self, queue, now):
        queue.put("a", "b")

        async def go():
            async with opened(queue, now) as source:
                first = await source.pull()
                await source.settle(first.receipts[:1], ok=False)
                now.at += 1
                again = await source.pull()
                await source.settle([*again.receipts, first.receipts[1]], ok=False)

        run(go())
        assert (queue.visible_in("a"), queue.visible_in("b")) == (2, 1)

    def test_what_was_not_tried_is_shown_at_once(self, queue, now):
        queue.put("a", "b")

        async def go():
            async with opened(queue, now) as source:
                assert isinstance(source, Releasing)
                batch = await source.pull()
                await source.release(batch.receipts[:1])
                return queue.visible_in("a"), queue.visible_in("b")

        assert run(go()) == (0, 30)
        assert queue.visible_in("b") == 0  # by closing

    def test_closing_leaves_what_failed_its_pause(self, queue, now):
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                await source.settle(batch.receipts, ok=False)

        run(go())
        assert queue.visible_in("a") == 1

    def test_settling_goes_on_when_who_waits_for_it_is_cancelled(self, queue, now):
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                settling = asyncio.ensure_future(source.settle(batch.receipts, ok=True))
                await queue.deleting.wait()
                settling.cancel()
                await asyncio.gather(settling, return_exceptions=True)
                assert settling.cancelled()

        run(go())
        assert queue.left() == []

    def test_a_client_is_closed_when_the_last_call_has_ended(self, queue, now):
        async def go():
            source = SqsSource(queue, now)
            async with source:
                queue.before_answer.clear()
                pull = asyncio.ensure_future(source.pull())
                await queue.asked.wait()
                pull.cancel()
                await asyncio.gather(pull, return_exceptions=True)
                source._buffer._under_way = {
                    n: call._replace(wait_s=20) for n, call in source._buffer._under_way.items()
                }
            early = queue.closed.is_set()
            queue.before_answer.set()
            await queue.closed.wait()
            return early

        assert run(go()) is False


class TestLateness:
    """A lease that is shorter than the work."""

    @pytest.mark.parametrize("forgiving", [False, True])
    def test_a_message_that_comes_again_while_it_is_worked_on_is_not_handed_out(
        self, now, forgiving
    ):
        queue = FakeQueue(now, 3, forgiving=forgiving)
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                first = await source.pull()
                now.at += 5  # nobody has renewed it
                queue.put("b")
                second = await source.pull()
                await source.settle([*first.receipts, *second.receipts], ok=True)
                return first.items, second.items

        assert run(go()) == (["a"], ["b"])
        assert queue.left() == []

    @pytest.mark.parametrize("forgiving", [False, True])
    def test_a_message_that_came_again_elsewhere_is_not_done_twice(self, now, forgiving, caplog):
        queue = FakeQueue(now, 3, forgiving=forgiving)
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                first = await source.pull()
                now.at += 5
                queue.taken()  # by another consumer
                await source.settle(first.receipts, ok=True)
                assert queue.left() == ["a"]
                assert await source.backlog() == 1  # so the queue is not drained
                now.at += 5  # nor has that one settled it
                queue.put("b")
                return first.items, (await source.pull()).items, source.late

        first, second, late = run(go())
        assert (first, second) == (["a"], ["b"])
        assert queue.left() == ["b"]
        assert late == (0 if forgiving else 1)
        warned = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warned) == late

    def test_it_is_told_once(self, now, caplog):
        queue = FakeQueue(now, 3)
        queue.put(*ids(30))

        async def go():
            async with opened(queue, now) as source:
                receipts = []
                while len(receipts) < 30:
                    receipts += (await source.pull()).receipts
                now.at += 5
                for _ in range(3):
                    queue.taken()
                await source.settle(receipts, ok=True)
                return source.late

        assert run(go()) == 30
        (record,) = caplog.records
        said = record.getMessage()
        assert said.startswith("queue 'fake': a message was done with only when its visibility")
        assert "of 3 s" in said

    def test_a_message_that_comes_again_while_it_is_deleted_is_deleted_once_more(self, now):
        queue = FakeQueue(now, 3, forgiving=True)
        queue.put("a")

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()

                def again():
                    queue.on_delete = lambda: None
                    now.at += 5
                    source._leases.receive(queue.taken(), 3)

                queue.on_delete = again
                await source.settle(batch.receipts, ok=True)

        run(go())
        assert queue.left() == []
        assert queue.calls["delete"] == 2

    def test_a_delete_that_could_not_be_made_is_made_when_the_message_comes_again(self, now):
        queue = FakeQueue(now, 3)
        queue.put("a")
        queue.faults["delete"] = [TemporaryError("busy")]

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                with pytest.raises(TemporaryError, match="busy"):
                    await source.settle(batch.receipts, ok=True)
                now.at += 100
                return (await source.pull()).items

        assert run(go()) == []
        assert queue.left() == []

    def test_an_unforeseen_fault_leaves_nothing_unsettled_for_good(self, queue, now):
        queue.put("a")
        queue.faults["delete"] = [KeyError("Failed")]

        async def go():
            async with opened(queue, now) as source:
                batch = await source.pull()
                with pytest.raises(KeyError):
                    await source.settle(batch.receipts, ok=True)
                await source.settle(batch.receipts, ok=True)

        run(go())
        assert queue.left() == []


def test_all_is_drained_that_is_there(queue, now):
    queue.put(*ids(500))

    async def go():
        async with opened(queue, now) as source:
            return await drain(source, 500)

    assert sorted(run(go())) == sorted(ids(500))
    assert queue.left() == []
