"""Subscriptions on bad days: nothing is lost, and people are told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress

import grpc
import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from tests.io.contract import drain, run
from tests.io.flows import running, soon_again, until
from tests.io.gcp.conftest import env_of
from tests.io.gcp.grpc_proxy import Fault, GrpcProxy, every
from tests.io.gcp.server import Server
from tests.io.gcp.vendor import PROJECT, PubSub

pytestmark = pytest.mark.emulator

CODES = grpc.StatusCode
READING = ("StreamingPull", "Acknowledge", "ModifyAckDeadline")


def numbers(count):
    return [b"m%d" % i for i in range(count)]


def subscription(name, **words):
    return GCPPubSubSubscription(PROJECT, name).options(**words)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(CODES.UNAVAILABLE),
        Fault(CODES.RESOURCE_EXHAUSTED),
        Fault(CODES.INTERNAL),
        Fault(CODES.UNAVAILABLE, passed_on=True),
    ],
    ids=["unavailable", "exhausted", "internal", "answer lost"],
)
@pytest.mark.parametrize("exactly_once", [False, True], ids=["", "exactly once"])
def test_faults_of_the_service_lose_nothing(env, pubsub, name, fault, exactly_once):
    pubsub.make(name, numbers(400), enable_exactly_once_delivery=exactly_once)
    seen = Counter()
    with GrpcProxy(env.endpoints["pubsub"], every(3, fault, READING)) as proxy:

        def note(text: str) -> None:
            seen[text] += 1

        source = subscription(name, batch_size=10)
        with running(env_of(pubsub=proxy.url), note, source=source) as handle:
            until(lambda: len(seen) == 400)
            until(lambda: handle.snapshot().processors[0].in_flight == 0)
    assert pubsub.left(name) == []
    assert proxy.seen["Acknowledge"] > 3


def test_streams_that_are_cut_lose_nothing(env, pubsub, name):
    pubsub.make(name)
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    def plan(method, answer):
        cut = method == "StreamingPull answer" and b"cut after this" in answer
        return Fault(CODES.UNAVAILABLE) if cut else None

    with (
        GrpcProxy(env.endpoints["pubsub"], plan) as proxy,
        running(env_of(pubsub=proxy.url), note, source=subscription(name)),
    ):
        for number in range(4):
            until(lambda now=number: proxy.seen["StreamingPull"] == now + 1)
            pubsub.publish(name, [b"%d, cut after this" % number])
            until(lambda now=number: len(seen) == now + 1)
    assert [text[0] for text in seen] == list("0123")


KILLED = """
import sys, time
from buildflow_nb.io.gcp import GCPPubSubSubscription
from tests.io.flows import running
from tests.io.gcp.conftest import env_of

def slow(text: str) -> None:
    print(text, flush=True)
    time.sleep(0.02)

source = GCPPubSubSubscription(sys.argv[2], sys.argv[3]).options(ack_deadline_seconds=10)
with running(env_of(pubsub=sys.argv[1]), slow, source=source):
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def killed(cloud, pubsub):
    """What a consumer had seen of 60 messages when it was killed.

    Its leases end after ten seconds, the least that Pub/Sub has; tests share the wait.
    """
    pubsub.make("killed", numbers(60), ack_deadline_seconds=10)
    command = [sys.executable, "-c", KILLED, cloud.endpoints["pubsub"], PROJECT, "killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
    assert all(first)
    return set(first)


@pytest.mark.usefixtures("killed")
def test_an_element_may_take_longer_than_the_ack_deadline(env, pubsub, name):
    pubsub.make(name, numbers(1), ack_deadline_seconds=10)
    free, seen = threading.Event(), []

    def slow(text: str) -> None:
        seen.append(text)
        free.wait(30)

    with running(env, slow, source=subscription(name, ack_deadline_seconds=10)) as handle:
        until(lambda: seen)
        free.wait(11.5)
        assert pubsub.left(name) == []
        free.set()
        until(lambda: handle.snapshot().processors[0].in_flight == 0)
    assert seen == ["m0"]
    assert pubsub.left(name) == []


def test_a_killed_consumer_loses_nothing(env, killed):
    seen = set()

    def note(text: str) -> None:
        seen.add(text)

    with running(env, note, source=subscription("killed")):
        until(lambda: len(seen | killed) == 60)
    assert seen | killed == {f"m{i}" for i in range(60)}


def test_a_server_that_restarts_in_the_middle(tmp_path, name):
    with Server(tmp_path) as own, soon_again():
        with PubSub(own.url) as pubsub:
            pubsub.make(name, numbers(300))
        seen = Counter()
        halfway = threading.Event()

        def note(text: str) -> None:
            seen[text] += 1
            if len(seen) >= 100:
                halfway.wait(10)

        with running(env_of(pubsub=own.url), note, source=subscription(name)) as handle:
            until(lambda: len(seen) >= 100)
            own.stop()
            halfway.set()
            until(lambda: handle.snapshot().processors[0].state is State.WAITING)
            own.start()
            until(lambda: len(seen) == 300)
            until(lambda: handle.snapshot().processors[0].state is State.RUNNING)
            with PubSub(own.url) as pubsub:
                until(lambda: pubsub.left(name) == [])
    assert set(seen) == {f"m{i}" for i in range(300)}


class Moving(dict):
    """Endpoints that are looked up each time, as those of the local cloud are."""

    def __init__(self, *servers):
        self.servers = list(servers)

    def get(self, service, default=None):
        return self.servers[0].url


def test_a_server_that_comes_back_elsewhere_is_found(tmp_path, name):
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()

    async def go(first, second):
        ends = Moving(first, second)
        env = Env(endpoints=ends, gcp_project=PROJECT)
        async with subscription(name).source(env) as source:
            found = await drain(source, 3)
            await asyncio.to_thread(first.stop)
            del ends.servers[0]
            while len(found) < 4:
                with suppress(TemporaryError):
                    found += await drain(source, 1)
                await asyncio.sleep(0.02)
            return found

    with Server(folders[0]) as first, Server(folders[1]) as second:
        for server, messages in ((first, numbers(3)), (second, [b"there"])):
            with PubSub(server.url) as pubsub:
                pubsub.make(name, messages)
        assert run(go(first, second)) == [*numbers(3), b"there"]


def test_a_missing_subscription_is_waited_for_and_a_lost_one_too(env, pubsub, name):
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    with running(env, note, source=subscription(name)) as handle:
        missing = f"subscription '{name}' does not exist in stack 'local' (run %buildflow apply)"
        until(lambda: handle.snapshot().processors[0].reason == missing)
        pubsub.make(name, numbers(3))
        until(lambda: len(seen) == 3)
        pubsub.subscriber.delete_subscription(subscription=pubsub.subscription(name))
        until(lambda: handle.snapshot().processors[0].reason == missing)
        pubsub.subscribe(name)
        pubsub.publish(name, [b"again", b"there"])
        until(lambda: len(seen) == 5)


def test_a_poison_message_holds_nobody_up(env, pubsub, name):
    pubsub.make(f"{name}-dead")
    pubsub.make(name, numbers(30))
    seen = []

    def fussy(number: str) -> None:
        if number == "m7":
            msg = "poison"
            raise ValueError(msg)
        seen.append(number)

    dead = GCPPubSubTopic(PROJECT, f"{name}-dead")
    with running(env, fussy, source=subscription(name), dead_letter=dead, retries=1) as handle:
        until(lambda: len(seen) == 29)
        until(lambda: handle.snapshot().processors[0].in_flight == 0)
        (failure,) = handle.failures()
    (message,) = pubsub.left(f"{name}-dead")
    assert json.loads(message.data)["error"] == "ValueError: poison"
    assert "poison" in failure.error
    assert pubsub.left(name) == []


def test_stopping_is_at_once_and_keeps_nothing(env, pubsub, name):
    pubsub.make(name, numbers(50), ack_deadline_seconds=600)
    blocked, started = threading.Event(), threading.Event()
    finished = []

    def stuck(text: str) -> None:
        started.set()
        blocked.wait(10)
        finished.append(text)

    with running(env, stuck, source=subscription(name, batch_size=5)) as handle:
        started.wait(10)
        threading.Timer(0.2, blocked.set).start()
        handle.stop(drain=True)
    left = [m.data.decode() for m in pubsub.left(name)]
    assert finished
    assert sorted(finished + left) == sorted(n.decode() for n in numbers(50))


async def pull_at_last(source):
    """Pull as the pipeline does: gRPC hides a refusal that comes before the request is written."""
    while True:
        with suppress(TemporaryError):
            return await source.pull()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (CODES.PERMISSION_DENIED, "denies access; grant the role roles/pubsub.{role}"),
        (CODES.UNAUTHENTICATED, "refuses the credentials of Google Cloud; renew them"),
        (CODES.FAILED_PRECONDITION, "refuses the request (FAILED_PRECONDITION: as planned)"),
    ],
)
def test_what_cannot_be_mended_by_waiting_stops(env, name, code, message):
    with GrpcProxy(env.endpoints["pubsub"], lambda *_: Fault(code)) as proxy:

        async def go():
            there = env_of(pubsub=proxy.url)
            async with subscription(name).source(there) as source:
                with pytest.raises(PermanentError) as pulled:
                    await pull_at_last(source)
            async with GCPPubSubTopic(PROJECT, name).sink(there, None) as sink:
                with pytest.raises(PermanentError) as pushed:
                    await sink.push([b"a"])
            return str(pulled.value), str(pushed.value)

        pulled, pushed = run(go())
    assert pulled.startswith(f"subscription '{name}' {message.format(role='subscriber')}")
    assert pushed.startswith(f"topic '{name}' {message.format(role='publisher')}")


def test_what_could_not_be_settled_is_settled_again_and_then_no_more(env, pubsub, name):
    pubsub.make(name, numbers(5))
    plan = every(100, Fault(CODES.UNAVAILABLE), ["Acknowledge", "ModifyAckDeadline"])
    with GrpcProxy(env.endpoints["pubsub"], plan) as proxy:

        async def go():
            async with subscription(name).source(env_of(pubsub=proxy.url)) as source:
                batch = await source.pull()
                for receipts, ok in ((batch.receipts[:2], True), (batch.receipts[2:], False)):
                    with pytest.raises(TemporaryError, match=f"'{name}' cannot be reached"):
                        await source.settle(receipts, ok=ok)
                    await source.settle(receipts, ok=ok)
                    await source.settle(receipts, ok=ok)
                left = await source.pull()
            await source.settle(left.receipts, ok=True)  # too late, it was given back

        run(go())
    assert proxy.seen["Acknowledge"] == 2
    assert [m.data for m in pubsub.left(name)] == numbers(5)[2:]


def test_replicas_have_streams_of_their_own(env, pubsub, name):
    pubsub.make(name)
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    with GrpcProxy(env.endpoints["pubsub"]) as proxy:
        there = env_of(pubsub=proxy.url)
        with running(there, note, source=subscription(name), num_replicas=3):
            until(lambda: proxy.seen["StreamingPull"] == 3)
            pubsub.publish(name, numbers(100))
            until(lambda: len(seen) == 100)
    assert proxy.seen["StreamingPull"] == 3
