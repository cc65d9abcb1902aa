"""Topics on bad days: each message is published once and in order, or it is said why not."""

from __future__ import annotations

import asyncio
import threading

import grpc
import pytest

from buildflow_nb.core.errors import PartialPushError, TemporaryError
from buildflow_nb.io.gcp import GCPPubSubTopic
from tests.io.contract import run
from tests.io.flows import running, until
from tests.io.gcp.conftest import env_of
from tests.io.gcp.grpc_proxy import Fault, GrpcProxy, every
from tests.io.gcp.pubsub.test_faults import numbers, subscription
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator

CODES = grpc.StatusCode


@pytest.mark.parametrize("code", [CODES.UNAVAILABLE, CODES.RESOURCE_EXHAUSTED, CODES.INTERNAL])
def test_a_sink_survives_faults_and_sends_each_once_and_in_order(env, pubsub, name, code):
    pubsub.make(name)
    pubsub.make(f"{name}-in", numbers(2500))
    plan = every(2, Fault(code), ["Publish"])
    with GrpcProxy(env.endpoints["pubsub"], plan) as proxy:

        def same(text: str) -> str:
            return text

        words = {"source": subscription(f"{name}-in"), "sink": GCPPubSubTopic(PROJECT, name)}
        with running(env_of(pubsub=proxy.url), same, **words) as handle:
            until(lambda: handle.snapshot().processors[0].elements_in >= 2500)
            until(lambda: handle.snapshot().processors[0].in_flight == 0)
    assert [m.data for m in pubsub.left(name)] == numbers(2500)


def test_what_comes_after_a_failed_request_is_held_back(env, pubsub, name):
    pubsub.make(name)
    plan = every(2, Fault(CODES.UNAVAILABLE), ["Publish"])
    tries, kinds = [], set()
    with GrpcProxy(env.endpoints["pubsub"], plan) as proxy:

        async def go():
            async with GCPPubSubTopic(PROJECT, name).sink(env_of(pubsub=proxy.url), None) as sink:
                items = numbers(4500)
                while items:
                    try:
                        await sink.push(items)
                        items = []
                    except PartialPushError as partial:
                        kinds.update(map(type, partial.failed.values()))
                        items = [items[i] for i in partial.failed]
                    except TemporaryError:
                        pass
                    tries.append(len(items))

        run(go())
    assert tries == [4500, 3500, 2500, 1500, 500, 0]
    assert kinds == {TemporaryError}
    assert [m.data for m in pubsub.left(name)] == numbers(4500)


def test_a_request_that_is_refused_is_halved(env, pubsub, name):
    pubsub.make(name)

    def plan(method, request):
        return Fault(CODES.INVALID_ARGUMENT) if b"not by the schema" in request else None

    with GrpcProxy(env.endpoints["pubsub"], plan) as proxy:

        async def go():
            async with GCPPubSubTopic(PROJECT, name).sink(env_of(pubsub=proxy.url), None) as sink:
                items = numbers(50)
                items[17] = items[33] = b"not by the schema"
                with pytest.raises(PartialPushError, match="2 of 50 messages cannot be") as caught:
                    await sink.push(items)
                return caught.value.failed

        failed = run(go())
    assert list(failed) == [17, 33]
    assert str(failed[17]) == "Pub/Sub refuses the message: as planned"
    kept = [one for i, one in enumerate(numbers(50)) if i not in (17, 33)]
    assert [m.data for m in pubsub.left(name)] == kept


def test_the_second_half_waits_for_the_first(env, pubsub, name):
    pubsub.make(name)
    faults = [Fault(CODES.INVALID_ARGUMENT), Fault(CODES.UNAVAILABLE)]
    with GrpcProxy(env.endpoints["pubsub"], lambda *_: faults.pop(0) if faults else None) as proxy:

        async def go():
            async with GCPPubSubTopic(PROJECT, name).sink(env_of(pubsub=proxy.url), None) as sink:
                with pytest.raises(TemporaryError, match="cannot be reached"):
                    await sink.push(numbers(4))
                first = await asyncio.to_thread(pubsub.left, name)
                await sink.push(numbers(4))
                return first

        assert run(go()) == []
    assert [m.data for m in pubsub.left(name)] == numbers(4)


def test_a_push_that_is_cancelled_is_finished_first(env, pubsub, name):
    pubsub.make(name)
    asked, go_on = threading.Event(), threading.Event()

    def plan(_method, _request):
        asked.set()
        go_on.wait(10)

    with GrpcProxy(env.endpoints["pubsub"], plan) as proxy:

        async def go():
            async with GCPPubSubTopic(PROJECT, name).sink(env_of(pubsub=proxy.url), None) as sink:
                push = asyncio.create_task(sink.push(numbers(3000)))
                await asyncio.to_thread(asked.wait, 10)
                push.cancel()
                asyncio.get_running_loop().call_later(0.1, go_on.set)
                with pytest.raises(asyncio.CancelledError):
                    await push

        run(go())
    assert [m.data for m in pubsub.left(name)] == numbers(3000)


def test_a_missing_topic_is_waited_for(env, pubsub, name):
    pubsub.make(f"{name}-in", numbers(3))

    def same(text: str) -> str:
        return text

    words = {"source": subscription(f"{name}-in"), "sink": GCPPubSubTopic(PROJECT, name)}
    with running(env, same, **words) as handle:
        missing = f"topic '{name}' does not exist in stack 'local' (run %buildflow apply)"
        until(lambda: handle.snapshot().processors[0].reason == missing)
        pubsub.make(name)
        until(lambda: handle.snapshot().processors[0].in_flight == 0)
    assert [m.data for m in pubsub.left(name)] == numbers(3)
