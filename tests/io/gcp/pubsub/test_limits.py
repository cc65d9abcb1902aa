"""What Pub/Sub takes and what it does not: sizes, characters, attributes, order."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import pytest

from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.types.gcp import MessageBytes, PubsubMessage
from tests.io.contract import drain, run
from tests.io.flows import running, until
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator

MEGABYTE = 1_000_000


def pushed(env, name, *items, hint=None):
    """Push as the pipeline does, by the topic's wire."""
    data = compile_encoder(hint, Wire.BYTES, "test")(items)

    async def go():
        async with GCPPubSubTopic(PROJECT, name).sink(env, hint) as sink:
            await sink.push(data)

    run(go())


def pulled(env, name, count, **words):
    async def go():
        primitive = GCPPubSubSubscription(PROJECT, name).options(**words)
        async with primitive.source(env) as source:
            return await drain(source, count)

    return run(go())


@pytest.mark.parametrize("size", [1, 256 << 10, 9 * MEGABYTE, 10 * MEGABYTE - 300])
def test_messages_of_every_size(env, pubsub, name, size):
    pubsub.make(name)
    data = hashlib.sha256(b"seed").digest() * (size // 32 + 1)
    pushed(env, name, data[:size])
    (found,) = pulled(env, name, 1)
    assert found == data[:size]


def test_large_messages_share_requests_as_far_as_they_fit(env, pubsub, name):
    pubsub.make(name)
    sizes = [4 * MEGABYTE, 5 * MEGABYTE, 3 * MEGABYTE, 9 * MEGABYTE, 10]
    pushed(env, name, *(b"x" * size for size in sizes))
    assert [len(one) for one in pulled(env, name, 5)] == sizes


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "the message is empty, and Pub/Sub takes none that is; return None to send"),
        (PubsubMessage(b""), "the message has neither data nor attributes"),
        (b"x" * 10 * MEGABYTE, "the message has 10,000,0"),
        (PubsubMessage(b"x", {"googclient": "1"}), "an attribute cannot be named 'googclient'"),
        (PubsubMessage(b"x", {"": "1"}), "an attribute cannot be named ''"),
        (PubsubMessage(b"x", {"n": 1}), "attribute 'n' is 1; names and values of attributes are"),
        (PubsubMessage(b"x", {"ü" * 129: "1"}), "the attribute name has 258 bytes, and Pub/Sub"),
        (PubsubMessage(b"x", {"n": "x" * 1025}), "the value of attribute 'n' has 1,025 bytes"),
        (PubsubMessage(b"x", {"n": "\ud800"}), "the value of attribute 'n' has no UTF-8"),
        (PubsubMessage(b"x", {str(i): "" for i in range(101)}), "the message has 101 attributes"),
        (PubsubMessage(b"x", ordering_key="k" * 1025), "the ordering key has 1,025 bytes"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_what_pubsub_does_not_take_fails_alone(env, pubsub, name, bad, reason):
    pubsub.make(name)
    with pytest.raises(PartialPushError, match="1 of 3 messages cannot be published") as caught:
        pushed(env, name, b"before", bad, b"after")
    assert list(caught.value.failed) == [1]
    assert str(caught.value.failed[1]).startswith(reason)
    assert [message.data for message in pubsub.left(name)] == [b"before", b"after"]


def test_attributes_at_their_limits_are_taken(env, pubsub, name):
    pubsub.make(name)
    attributes = {f"{i:03d}{'k' * 253}": "v" * 1024 for i in range(100)}
    pushed(env, name, PubsubMessage(b"", attributes))
    (message,) = pubsub.left(name)
    assert dict(message.attributes) == attributes


@dataclass
class Order:
    id: int
    name: str


def test_every_form_of_element(env, pubsub, name):
    pubsub.make(name)
    message = PubsubMessage("ü 🦆".encode(), {"kind": "ü"}, ordering_key="k")
    pushed(env, name, b"\x00\xff", "ü 数", Order(1, "ü"), {"a": [1]}, message)
    found = pubsub.left(name)
    assert [one.data for one in found] == [
        b"\x00\xff",
        "ü 数".encode(),
        '{"id":1,"name":"ü"}'.encode(),
        b'{"a":[1]}',
        "ü 🦆".encode(),
    ]
    assert dict(found[-1].attributes) == {"kind": "ü"}
    assert found[-1].ordering_key == "k"


def test_messages_through_a_flow_keep_their_attributes(env, pubsub, name):
    pubsub.make(f"{name}-in", [{"data": b"x", "attributes": {"n": "1"}}])
    pubsub.make(f"{name}-out")

    def more(message: PubsubMessage) -> PubsubMessage:
        return PubsubMessage(message.data * 2, {**message.attributes, "m": message.message_id})

    source = GCPPubSubSubscription(PROJECT, f"{name}-in").options(include_attributes=True)
    with running(env, more, source=source, sink=GCPPubSubTopic(PROJECT, f"{name}-out")) as handle:
        until(lambda: handle.snapshot().processors[0].elements_out == 1)
    (found,) = pubsub.left(f"{name}-out")
    assert (found.data, found.attributes["n"]) == (b"xx", "1")
    assert int(found.attributes["m"]) > 0


def test_messages_of_one_key_come_in_order(env, pubsub, name):
    pubsub.make(name, enable_message_ordering=True)
    sent = [PubsubMessage(b"%d" % i, ordering_key="ab"[i % 2]) for i in range(3000)]
    pushed(env, name, *sent)
    found = pulled(env, name, 3000, batch_size=100)
    for rest in (0, 1):
        of_key = [int(data) for data in found if int(data) % 2 == rest]
        assert of_key == list(range(rest, 3000, 2))


def test_a_batch_has_its_size_and_names_its_messages(env, pubsub, name):
    pubsub.make(name, [b"m%d" % i for i in range(25)])

    async def go():
        primitive = GCPPubSubSubscription(PROJECT, name).options(batch_size=10)
        async with primitive.source(env) as source:
            batches = [await source.pull() for _ in range(2)]
            return batches, batches[0].origin(3)

    batches, origin = run(go())
    assert all(1 <= len(batch.items) <= 10 for batch in batches)
    assert origin.startswith(f"{name} message ")
    assert int(origin.rpartition(" ")[2]) > 0


def test_a_consumer_leases_ten_batches_and_no_more(env, pubsub, name):
    pubsub.make(name, [b"m%d" % i for i in range(50)])

    async def go():
        primitive = GCPPubSubSubscription(PROJECT, name).options(batch_size=2)
        async with primitive.source(env) as source:
            await source.pull()
            return await asyncio.to_thread(pubsub.left, name)

    assert len(run(go())) == 30


def test_a_trace_never_costs_a_message(env, pubsub, name):
    """What is full already goes without, and a trace that a message has is its own."""
    pubsub.make(name)
    own = MessageBytes.of(b"own", {"traceparent": "mine"}, "")
    full = MessageBytes.of(b"full", {f"a{i}": "x" for i in range(100)}, "")
    big = b"b" * (10 * MEGABYTE - 150)
    context = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")

    async def go():
        async with GCPPubSubTopic(PROJECT, name).sink(env, None) as sink:
            await sink.push_traced([own, full, big, b"some"], dict.fromkeys(range(4), context))

    run(go())
    found = {m.data[:4]: m.attributes.get("traceparent") for m in pubsub.left(name)}
    assert found == {b"own": "mine", b"full": None, b"bbbb": None, b"some": context.traceparent}
