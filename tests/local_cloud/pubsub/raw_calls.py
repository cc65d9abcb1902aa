"""Raw calls to a server in this process, where Google's clients are too polite."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest

from buildflow_nb.local_cloud.pubsub import PubSubServer, proto
from tests.local_cloud.pubsub.fakes import SUBSCRIPTION, TOPIC

DEADLINE_S = 20.0  # far more than any test needs; only a hang reaches it


def run(coroutine):
    async def within():
        return await asyncio.wait_for(coroutine, DEADLINE_S)

    return asyncio.run(within())


async def eventually(so):
    """Wait for something, within the deadline."""
    for _ in range(int(DEADLINE_S / 0.005)):
        if so():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen within the deadline")


class Caller:
    """Calls a server with protobuf messages."""

    def __init__(self, channel):
        self._channel = channel

    async def publisher(self, name, request, answer=proto.Empty):
        return await self._call("google.pubsub.v1.Publisher", name, request, answer)

    async def subscriber(self, name, request, answer=proto.Empty):
        return await self._call("google.pubsub.v1.Subscriber", name, request, answer)

    async def _call(self, service, name, request, answer):
        call = self._channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return await call(request)

    async def subscribe(self, **fields):
        await self.publisher("CreateTopic", proto.Topic(name=TOPIC), proto.Topic)
        config = proto.Subscription(name=SUBSCRIPTION, topic=TOPIC, **fields)
        await self.subscriber("CreateSubscription", config, proto.Subscription)

    def stream(self):
        return self._channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=proto.StreamingPullRequest.SerializeToString,
            response_deserializer=proto.StreamingPullResponse.FromString,
        )()

    async def open(self, **fields):
        stream = self.stream()
        await stream.write(first_request(**fields))
        return stream


def first_request(**fields):
    fields = {"subscription": SUBSCRIPTION, "stream_ack_deadline_seconds": 10, **fields}
    return proto.StreamingPullRequest(**fields)


async def received(stream, count):
    found = []
    while len(found) < count:
        answer = await stream.read()
        assert answer is not grpc.aio.EOF
        found += answer.received_messages
    return found


@asynccontextmanager
async def serving(options=None):
    server = PubSubServer(options)
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, Caller(channel)
    finally:
        await server.stop()


async def status_of(stream):
    """Read a stream to its end, and give its status."""
    try:
        while await stream.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError:
        pass
    return await stream.code(), await stream.details()
