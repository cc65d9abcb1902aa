"""A subscription over a client in memory: what it asks, keeps, gives back and calls empty."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from google.pubsub_v1 import types

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.primitive import Releasing
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.gcp.pubsub import silence
from buildflow_nb.io.gcp.pubsub import source as module
from buildflow_nb.io.gcp.pubsub.silence import Silence
from buildflow_nb.io.gcp.pubsub.source import PubSubSource, Reading
from tests.io.contract import run

RECEIVED = types.ReceivedMessage.pb()
MESSAGE = types.PubsubMessage.pb()
ANSWER = types.StreamingPullResponse.pb()
PULLED = types.PullResponse.pb()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A silence is over at once, and nothing is waited for behind an answer."""
    monkeypatch.setattr(silence, "QUIET_S", (0.0, 0.0))
    monkeypatch.setattr(silence, "LATE_S", 0.0)


def received(*ids, attempt=0):
    return [
        RECEIVED(
            ack_id=f"ack {i}",
            message=MESSAGE(data=i.encode(), message_id=i),
            delivery_attempt=attempt,
        )
        for i in ids
    ]


class FakeClient:
    """A subscription that gives `waiting` to who asks, and what is put into `stream` to streams."""

    name = "projects/p/subscriptions/s"
    target = Target("subscription", "s", "local")

    def __init__(self):
        self.waiting = []
        self.stream_answers = asyncio.Queue()
        self.asked = 0
        self.acknowledged = []
        self.leased = []
        self.faults = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.question = asyncio.Event()

    async def open(self):
        pass

    async def close(self):
        pass

    async def stream(self, method, request, answer):
        return self

    async def read(self, call):
        return await self.stream_answers.get()

    async def write(self, call, request):
        pass

    def cancel(self):
        pass

    async def look(self, method, request, answer, deadline_s):
        assert (method, request.return_immediately) == ("Subscriber/Pull", True)
        self.asked += 1
        found, self.waiting = self.waiting, []
        self.question.set()
        await self.answering.wait()
        if self.faults:
            raise self.faults.pop(0)
        return PULLED(received_messages=found)

    async def call(self, method, request, answer, deadline_s):
        if self.faults:
            raise self.faults.pop(0)
        if method == "Subscriber/Acknowledge":
            self.acknowledged += request.ack_ids
        else:
            self.leased += [(i, request.ack_deadline_seconds) for i in request.ack_ids]

    def refused(self, error):
        return error


@asynccontextmanager
async def opened(reading=None):
    client = FakeClient()
    async with PubSubSource(client, reading or Reading(60, 100)) as source:
        yield source, client


def test_a_pull_of_an_empty_subscription_comes_back_empty():
    async def go():
        async with opened() as (source, client):
            found = [await source.pull() for _ in range(3)]
            return [(list(batch.items), list(batch.receipts)) for batch in found], client.asked

    assert run(go()) == ([([], [])] * 3, 3)


def test_what_the_answer_brings_is_handed_out_and_leased_as_all_else():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a", "b")
            batch = await source.pull()
            return list(batch.items), list(client.leased)

    items, leased = run(go())
    assert items == [b"a", b"b"]
    assert leased == [("ack a", 60), ("ack b", 60)]


def test_a_slow_answer_is_no_empty_one():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            client.answering.clear()
            pull = asyncio.ensure_future(source.pull())
            await client.question.wait()
            early = pull.done()
            client.answering.set()
            return early, list((await pull).items)

    assert run(go()) == (False, [b"a"])


def test_what_comes_on_the_stream_with_an_empty_answer_is_handed_out():
    async def go():
        async with opened() as (source, client):
            client.answering.clear()
            pull = asyncio.ensure_future(source.pull())
            await client.question.wait()
            client.stream_answers.put_nowait(ANSWER(received_messages=received("a")))
            client.answering.set()
            return list((await pull).items)

    assert run(go()) == [b"a"]


def test_a_cancelled_pull_loses_nothing_that_its_question_brings():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            client.answering.clear()
            pull = asyncio.ensure_future(source.pull())
            await client.question.wait()
            pull.cancel()
            await asyncio.gather(pull, return_exceptions=True)
            client.answering.set()
            return list((await source.pull()).items)

    assert run(go()) == [b"a"]


def test_what_a_question_brings_while_the_source_closes_is_given_back():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            client.answering.clear()
            pull = asyncio.ensure_future(source.pull())
            await client.question.wait()
            pull.cancel()
            await asyncio.gather(pull, return_exceptions=True)
            asyncio.get_running_loop().call_soon(client.answering.set)
        return client.leased

    assert run(go())[-1] == ("ack a", 0)


def test_nothing_is_asked_while_something_is_held():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            batch = await source.pull()
            asked = client.asked
            pull = asyncio.ensure_future(source.pull())
            for _ in range(20):
                await asyncio.sleep(0)
            while_held = client.asked
            await source.settle(batch.receipts, ok=True)
            await pull
            return asked, while_held, client.asked

    assert run(go()) == (1, 1, 2)


def test_an_answer_that_fails_is_a_fault_of_the_pull():
    async def go():
        async with opened() as (source, client):
            client.faults = [TemporaryError("busy")]
            with pytest.raises(TemporaryError, match="busy"):
                await source.pull()
            client.waiting = received("a")
            return list((await source.pull()).items)

    assert run(go()) == [b"a"]


def test_what_failed_waits_with_growing_time():
    async def go():
        async with opened() as (source, client):
            pauses = []
            for _ in range(10):
                client.waiting, client.leased = received("a"), []
                batch = await source.pull()
                await source.settle(batch.receipts, ok=False)
                pauses.append(client.leased[-1][1])
            return pauses

    assert run(go()) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_deliveries_that_pubsub_counts_are_believed_up_to_a_point():
    async def go():
        async with opened() as (source, client):
            client.waiting = [*received("a", attempt=3), *received("b", attempt=99)]
            batch = await source.pull()
            await source.settle(batch.receipts, ok=False)
            return client.leased[2:]

    assert sorted(run(go())) == [("ack a", 4), ("ack b", 32)]


def test_telling_it_again_is_no_further_failure():
    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            batch = await source.pull()
            for _ in range(3):
                client.faults = [TemporaryError("busy")]
                with pytest.raises(TemporaryError, match="busy"):
                    await source.settle(batch.receipts, ok=False)
            await source.settle(batch.receipts, ok=False)
            return client.leased[1:]

    assert run(go()) == [("ack a", 1)]


def test_what_was_not_tried_is_given_back_at_once():
    async def go():
        async with opened() as (source, client):
            assert isinstance(source, Releasing)
            client.waiting = received("a", "b", "c")
            batch = await source.pull()
            client.leased = []
            await source.release(batch.receipts[:1])
            await source.settle(batch.receipts[1:2], ok=False)
            released = list(client.leased)
        return released, client.leased[2:]

    assert run(go()) == ([("ack a", 0), ("ack b", 1)], [("ack c", 0)])


def test_what_is_being_acknowledged_is_renewed(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", (0.0, 0.0))

    async def go():
        async with opened() as (source, client):
            client.waiting = received("a")
            batch = await source.pull()
            client.leased = []
            holding = asyncio.Event()

            async def slow(ack_ids):
                await holding.wait()
                return await type(source._acks).acknowledge(source._acks, ack_ids)

            source._acks.acknowledge = slow
            settling = asyncio.ensure_future(source.settle(batch.receipts, ok=True))
            await asyncio.sleep(0)
            (receipt,) = batch.receipts
            receipt.renew_at = 0.0  # long ago
            while not client.leased:  # noqa: ASYNC110  (a turn of the loop, no time)
                await asyncio.sleep(0)
            holding.set()
            await settling
            return client.leased[0], client.acknowledged

    assert run(go()) == (("ack a", 60), ["ack a"])


class TestSilence:
    def test_pulls_that_wait_together_share_a_question(self):
        asked = []

        async def nothing():
            asked.append(1)
            await asyncio.sleep(0)
            return False

        async def go():
            found = Silence(nothing)
            marks = [found.mark() for _ in range(8)]
            return await asyncio.gather(*(found.is_empty(mark) for mark in marks))

        assert run(go()) == [True] * 8
        assert len(asked) == 1

    def test_a_question_from_before_says_nothing(self):
        async def nothing():
            return False

        async def go():
            found = Silence(nothing)
            await found.is_empty(found.mark())
            return found.mark(), await found.is_empty(found.mark()), found.mark()

        assert run(go()) == (1, True, 2)

    def test_silences_grow_while_nothing_comes(self, monkeypatch):
        monkeypatch.setattr(silence, "QUIET_S", (1.0, 20.0))

        async def nothing():
            return False

        async def go():
            found, spans = Silence(nothing), []
            for _ in range(10):
                spans.append(found.quiet_s)
                await found.is_empty(found.mark())
            found.broken()
            return spans, found.quiet_s

        assert run(go()) == ([1, 1, 1, 1, 2, 4, 8, 16, 20, 20], 1)
