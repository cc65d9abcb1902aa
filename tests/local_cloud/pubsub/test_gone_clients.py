"""What was to be given to a client that is gone waits for others at once."""

from __future__ import annotations

import asyncio

import pytest

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.pull import Pull
from buildflow_nb.local_cloud.pubsub.streaming import StreamingPull
from tests.local_cloud.pubsub.fakes import SUBSCRIPTION, Shop
from tests.local_cloud.pubsub.raw_calls import run


class Call:
    """A call whose client is there, or gone."""

    def __init__(self, *, gone):
        self.gone = gone
        self.callbacks = []
        self.written = []

    def time_remaining(self):
        return 60.0

    def add_done_callback(self, callback):
        self.callbacks.append(callback)

    def cancelled(self):
        return self.gone

    def end(self):
        for callback in self.callbacks:
            callback(self)

    async def write(self, answer):
        if self.gone and self.written:
            raise asyncio.CancelledError
        self.written.append(answer)


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("immediately", [True, False])
def test_a_pull_whose_client_is_gone_gives_its_messages_back(gone, immediately):
    async def go():
        shop, call = Shop(), Call(gone=gone)
        shop.publish(b"1", b"2")
        request = proto.PullRequest(
            subscription=SUBSCRIPTION, max_messages=5, return_immediately=immediately
        )
        answer = await Pull(shop.broker).pull(request, call)
        taken = len(proto.PullResponse.FromString(answer).received_messages)
        call.end()
        return taken, shop.taken()

    assert run(go()) == (2, [b"1", b"2"] if gone else [])


def test_a_pull_that_waits_and_is_given_up_takes_nothing():
    async def go():
        shop = Shop()
        request = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=5)
        pull = asyncio.ensure_future(Pull(shop.broker).pull(request, Call(gone=True)))
        await asyncio.sleep(0)
        pull.cancel()
        await asyncio.wait({pull})
        shop.publish(b"1")
        return shop.taken()

    assert run(go()) == [b"1"]


def test_a_stream_whose_client_is_gone_gives_back_what_it_could_not_write():
    async def go():
        shop, call = Shop(), Call(gone=True)
        shop.publish(b"1", b"2")

        async def requests():
            yield proto.StreamingPullRequest(
                subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60
            )
            await asyncio.Event().wait()

        with pytest.raises(asyncio.CancelledError):
            await StreamingPull(shop.broker).stream(requests(), call)
        return shop.taken()

    assert run(go()) == [b"1", b"2"]
