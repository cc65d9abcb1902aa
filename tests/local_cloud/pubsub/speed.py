"""How many messages a second Pub/Sub servers take and give, side by side.

`python -m tests.local_cloud.pubsub.speed` measures our server; addresses of other running
servers may follow, and are measured in turn with it, so that the ratios hold on a busy machine.
The client is raw protobuf on one connection: publishing from four tasks, then one streaming pull
that acknowledges all. Messages have 190 bytes; figures are medians.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time

import grpc

from buildflow_nb.local_cloud.pubsub import proto
from tests.local_cloud.pubsub.servers import our_server

ROUNDS = 3
PUBLISHERS = 4
MESSAGES = 100_000
BATCHES = (1_000, 100, 10)
_numbers = itertools.count(int(time.time()))


def unary(channel, service, name, request_class):
    return channel.unary_unary(
        f"/google.pubsub.v1.{service}/{name}",
        request_serializer=request_class.SerializeToString,
        response_deserializer=None,
    )


async def measure(address: str, batch: int, *, ordered: bool) -> tuple[float, float]:
    """Messages a second published, and received and acknowledged."""
    number = next(_numbers)
    topic, name = f"projects/speed/topics/t{number}", f"projects/speed/subscriptions/s{number}"
    config = proto.Subscription(name=name, topic=topic, enable_message_ordering=ordered)
    one = [{"data": b"x" * 190, "ordering_key": f"k{i % 50}" * ordered} for i in range(batch)]
    request = proto.PublishRequest(topic=topic, messages=one)
    count = MESSAGES if batch >= 100 else MESSAGES // 5
    calls = count // batch // PUBLISHERS
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        await unary(channel, "Publisher", "CreateTopic", proto.Topic)(proto.Topic(name=topic))
        await unary(channel, "Subscriber", "CreateSubscription", proto.Subscription)(config)
        publish = unary(channel, "Publisher", "Publish", proto.PublishRequest)

        async def publish_all() -> None:
            for _ in range(calls):
                await publish(request)

        began = time.perf_counter()
        await asyncio.gather(*[publish_all() for _ in range(PUBLISHERS)])
        published = time.perf_counter()
        await receive(channel, name, calls * PUBLISHERS * batch)
        received = time.perf_counter()
    total = calls * PUBLISHERS * batch
    return total / (published - began), total / (received - published)


async def receive(channel: grpc.aio.Channel, name: str, count: int) -> None:
    stream = channel.stream_stream(
        "/google.pubsub.v1.Subscriber/StreamingPull",
        request_serializer=proto.StreamingPullRequest.SerializeToString,
        response_deserializer=proto.StreamingPullResponse.FromString,
    )()
    first = proto.StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=60)
    await stream.write(first)
    while count > 0:
        answer = await stream.read()
        ack_ids = [message.ack_id for message in answer.received_messages]
        count -= len(ack_ids)
        if ack_ids:
            await stream.write(proto.StreamingPullRequest(ack_ids=ack_ids))
    await stream.done_writing()
    await asyncio.sleep(0.05)
    stream.cancel()


def main(others: list[str]) -> None:
    with our_server() as (ours, _):
        for ordered, batch in itertools.product((False, True), BATCHES):
            found = {address: [] for address in (ours, *others)}
            for _ in range(ROUNDS):
                for address, rates in found.items():
                    rates.append(asyncio.run(measure(address, batch, ordered=ordered)))
            for address, rates in found.items():
                published, received = (statistics.median(column) for column in zip(*rates))  # noqa: B905
                who = "ours" if address == ours else address
                kind = "ordered" if ordered else "plain"
                sys.stdout.write(
                    f"{kind:8} batch {batch:5} {who:16} publish {published:9,.0f}/s  "
                    f"receive and acknowledge {received:9,.0f}/s\n"
                )


if __name__ == "__main__":
    main(sys.argv[1:])
