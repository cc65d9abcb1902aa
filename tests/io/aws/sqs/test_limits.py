"""What SQS takes as a message, and the order that FIFO queues keep."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.io.aws import SQSQueue
from tests.io.aws.sqs.test_faults import filled, left
from tests.io.contract import run

pytestmark = pytest.mark.emulator


BAD = {
    "": "the message is empty",
    "a\x00b": r"SQS takes no character '\x00' (at 1)",
    "\ud800": r"SQS takes no character '\ud800' (at 0)",
    "\uffff": "SQS takes no character",
    "x" * (256 * 1024 + 1): "the message has 262,145 bytes, and the queue takes at most 262,144",
    "ü" * (128 * 1024 + 1): "the message has 262,146 bytes",
}


def test_what_sqs_does_not_take_fails_alone(env, sqs, name):
    url = filled(sqs, name, 0, MaximumMessageSize="262144")
    good = ["one", "x" * (256 * 1024), "tab\t line\r\n ü 数 🦆 \ue000\ufffd"]
    items = [good[0], *BAD, *good[1:]]

    async def go():
        async with SQSQueue(name).sink(env, None) as sink:
            with pytest.raises(PartialPushError, match=r"6 of 9 messages cannot be sent") as caught:
                await sink.push(items)
            return caught.value.failed

    failed = run(go())
    assert list(failed) == [1, 2, 3, 4, 5, 6]
    for found, reason in zip(failed.values(), BAD.values(), strict=True):
        assert reason in str(found)
    found = []
    while len(found) < 3:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        found += [message["Body"] for message in messages]
    assert sorted(found) == sorted(good)


def test_a_mebibyte_is_one_message(env, sqs, name):
    url = filled(sqs, name, 0)
    big = "x" * (1 << 20)

    async def go():
        async with SQSQueue(name).sink(env, None) as sink, SQSQueue(name).source(env) as source:
            await sink.push([big, "small"])
            found = []
            while len(found) < 2:
                batch = await source.pull()
                found += batch.items
                await source.settle(batch.receipts, ok=True)
            return found

    assert sorted(run(go())) == sorted([big, "small"])
    assert left(sqs, url) == (0, 0)


def test_groups_of_a_fifo_queue_keep_their_order(env, sqs, name):
    queue = SQSQueue(f"{name}.fifo").options(group_by="group", deduplicate_by="number")
    sqs.create_queue(QueueName=queue.queue_name, Attributes={"FifoQueue": "true"})
    sent = [json.dumps({"group": f"g {i % 3}", "number": i}) for i in range(60)]

    async def go():
        found = []
        async with queue.sink(env, None) as sink, queue.source(env) as source:
            await sink.push(sent)
            await sink.push(sent[:10])  # again, and so for nothing
            while len(found) < 60:
                batch = await source.pull()
                if len(found) == 0:
                    await source.settle(batch.receipts, ok=False)  # as if its code had failed
                    batch = await source.pull()
                found += [json.loads(item) for item in batch.items]
                await source.settle(batch.receipts, ok=True)
            return found, await source.backlog()

    found, backlog = run(go())
    assert backlog == 0
    for group in range(3):
        numbers = [item["number"] for item in found if item["group"] == f"g {group}"]
        assert numbers == list(range(group, 60, 3))


def test_a_trace_never_costs_a_message(env, sqs, name):
    """Attributes count as bytes of a message, so the longest one goes without."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    words = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
    limit = int(words["Attributes"]["MaximumMessageSize"])
    texts = ["x" * limit, "y" * (limit - 60), "z" * 100]
    context = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")

    async def go():
        async with SQSQueue(name).sink(env, None) as sink:
            await sink.push_traced(texts, dict.fromkeys(range(3), context))

    run(go())
    found = {}
    while len(found) < 3:
        reply = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=1
        )
        for message in reply.get("Messages", []):
            found[message["Body"][0]] = "MessageAttributes" in message
    assert found == {"x": False, "y": False, "z": True}
