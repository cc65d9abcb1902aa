"""Subscriptions that answer late, whose leases are short, and whose messages always fail."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter

import pytest

from tests.io.contract import run
from tests.io.flows import running
from tests.io.gcp.conftest import env_of
from tests.io.gcp.grpc_proxy import GrpcProxy
from tests.io.gcp.pubsub.test_faults import numbers, subscription

pytestmark = pytest.mark.emulator

DRAINED_S = 60.0


def late(_method, _request):
    """A plan by which every call is answered later."""
    threading.Event().wait(0.7)


@pytest.mark.parametrize("count", [0, 40])
def test_a_slow_subscription_is_drained_when_all_has_come(env, pubsub, name, count):
    pubsub.make(name, numbers(count))
    seen = Counter()

    def note(text: str) -> None:
        seen[text] += 1

    with (
        GrpcProxy(env.endpoints["pubsub"], late) as proxy,
        running(env_of(pubsub=proxy.url), note, source=subscription(name)) as handle,
    ):
        handle.wait_until(drained=True, timeout=DRAINED_S)
    assert len(seen) == count
    assert pubsub.left(name) == []


def test_replicas_are_drained_together(env, pubsub, name):
    pubsub.make(name, numbers(500))
    seen = Counter()

    def note(text: str) -> None:
        seen[text] += 1

    words = {"source": subscription(name, batch_size=20), "num_replicas": 4}
    with running(env, note, **words) as handle:
        handle.wait_until(drained=True, timeout=DRAINED_S)
    assert (len(seen), seen.total()) == (500, 500)


def test_a_message_that_always_fails_comes_with_growing_pauses(env, pubsub, name):
    pubsub.make(name, [b"poison"])
    seen = []

    def refuse(text: str) -> None:
        seen.append(text)
        raise ValueError(text)

    with running(env, refuse, source=subscription(name), retries=0):
        threading.Event().wait(4.5)
    assert 2 <= len(seen) <= 3  # at once, after one second, after two more


def test_what_was_not_tried_comes_again_at_once_and_what_failed_later(env, pubsub, name):
    pubsub.make(name, numbers(3), enable_exactly_once_delivery=True)

    async def go():
        async with subscription(name).source(env) as source:
            found, receipts = [], []
            while len(found) < 3:
                batch = await source.pull()
                found += batch.items
                receipts += batch.receipts
            await source.settle(receipts[:1], ok=False)
            await source.release(receipts[1:])
            again = []
            while len(again) < 3:
                batch = await source.pull()
                again += batch.items
                await source.settle(batch.receipts, ok=True)
            return found, again

    found, again = run(go())
    assert sorted(found) == sorted(again) == numbers(3)
    assert again[-1] == found[0]


STOPPED = """
import sys
from tests.io.flows import running
from tests.io.gcp.conftest import env_of
from tests.io.gcp.pubsub.test_faults import subscription

def note(text: str) -> None:
    pass

with running(env_of(pubsub=sys.argv[1]), note, source=subscription(sys.argv[2])) as handle:
    handle.wait_until(duration=3)
"""


def test_what_is_published_after_a_stop_is_not_hidden(env, pubsub, name):
    pubsub.make(name)
    command = [sys.executable, "-c", STOPPED, env.endpoints["pubsub"], name]
    subprocess.run(command, check=True, timeout=60)
    pubsub.publish(name, [b"right after"])
    threading.Event().wait(0.5)
    assert [message.data for message in pubsub.left(name)] == [b"right after"]
