"""Pub/Sub through our source and sink, beside Google's client library, on one server.

The server is the local cloud's own, as a process of its own. Both sides decode each message to a
dataclass and acknowledge it; a consumer's time ends when the last message was processed, a
publisher's when the last one is acknowledged by the server.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import subprocess
import sys
import threading
import time
from datetime import datetime

import grpc
import msgspec
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.types import BatchSettings
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.orders import Address, Order

MESSAGES = 40_000
ROUNDS = 3
PROJECT = "bench-project"
PATIENCE_S = 60.0


DATA = msgspec.json.encode(
    Order(7, "a customer's name", 12.5, True, datetime(2026, 1, 31), Address("1 Main St", "Here"))
)


class Count:
    """Counts messages, and tells when all have come."""

    def __init__(self) -> None:
        self._left = MESSAGES
        self._lock = threading.Lock()
        self.all_came = threading.Event()

    def one(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.all_came.set()


class Server:
    """Pub/Sub as a process of its own, with Google's clients."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        address = f"127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"
        self.env = Env(endpoints={"pubsub": f"http://{address}"}, gcp_project=PROJECT)
        self._channel = grpc.insecure_channel(address)
        self.publisher = pubsub_v1.PublisherClient(
            batch_settings=BatchSettings(max_messages=1000, max_bytes=5_000_000),
            transport=PublisherGrpcTransport(channel=self._channel),
        )
        self.subscriber = pubsub_v1.SubscriberClient(
            transport=SubscriberGrpcTransport(channel=self._channel)
        )
        self._numbers = itertools.count()

    def filled(self) -> GCPPubSubSubscription:
        """A new subscription that all messages wait in."""
        topic = self.empty()
        found = GCPPubSubSubscription(PROJECT, topic.topic_name).options(topic=topic)
        name = f"projects/{PROJECT}/subscriptions/{topic.topic_name}"
        self.subscriber.create_subscription(name=name, topic=topic.topic_id)
        self.push(topic)
        return found

    def empty(self) -> GCPPubSubTopic:
        """A new topic."""
        topic = GCPPubSubTopic(PROJECT, f"bench-{next(self._numbers)}")
        self.publisher.create_topic(name=topic.topic_id)
        return topic

    def push(self, topic: GCPPubSubTopic) -> None:
        """Publish all messages through our sink."""

        async def go() -> None:
            async with topic.sink(self.env, None) as sink:
                for start in range(0, MESSAGES, topic.max_push):
                    await sink.push([DATA] * min(topic.max_push, MESSAGES - start))

        asyncio.run(go())

    def drop(self, subscription: GCPPubSubSubscription) -> None:
        """Delete a subscription with what is left in it."""
        name = f"projects/{PROJECT}/subscriptions/{subscription.subscription_name}"
        self.subscriber.delete_subscription(subscription=name)

    def stop(self) -> None:
        """End the process."""
        self.publisher.stop()
        self._channel.close()
        self._process.terminate()
        self._process.communicate()


def consume(server: Server) -> float:
    """Messages a second through a flow, from its start to the last element."""
    source, count = server.filled(), Count()

    def keep(_: Order) -> None:
        count.one()

    flow = Flow()
    flow.consumer(source=source)(keep)
    handle = RunHandle(RunPlan("bench", server.env), flow.registry)
    gc.collect()
    began = time.perf_counter()
    handle.begin()
    count.all_came.wait(PATIENCE_S)
    seconds = time.perf_counter() - began
    handle.stop()
    server.drop(source)
    return MESSAGES / seconds


def subscribe(server: Server) -> float:
    """Messages a second through `SubscriberClient.subscribe(callback)`, in the same way."""
    source, count = server.filled(), Count()
    decoder = msgspec.json.Decoder(Order)

    def keep(message: pubsub_v1.subscriber.message.Message) -> None:
        decoder.decode(message.data)
        message.ack()
        count.one()

    name = f"projects/{PROJECT}/subscriptions/{source.subscription_name}"
    gc.collect()
    began = time.perf_counter()
    future = server.subscriber.subscribe(name, keep)
    count.all_came.wait(PATIENCE_S)
    seconds = time.perf_counter() - began
    future.cancel()
    future.result(PATIENCE_S)
    server.drop(source)
    return MESSAGES / seconds


def push(server: Server) -> float:
    """Messages a second through our sink."""
    topic = server.empty()
    gc.collect()
    began = time.perf_counter()
    server.push(topic)
    return MESSAGES / (time.perf_counter() - began)


def publish(server: Server) -> float:
    """Messages a second through `PublisherClient.publish`, which makes batches by itself."""
    topic = server.empty().topic_id
    gc.collect()
    began = time.perf_counter()
    for future in [server.publisher.publish(topic, DATA) for _ in range(MESSAGES)]:
        future.result(PATIENCE_S)
    return MESSAGES / (time.perf_counter() - began)


def main() -> None:
    """Print all rates."""
    server = Server()
    ways = {
        "consumed": {"buildflow_nb": consume, "SubscriberClient.subscribe": subscribe},
        "published": {"buildflow_nb": push, "PublisherClient.publish": publish},
    }
    goals = {"SubscriberClient.subscribe": "at least 2.5", "PublisherClient.publish": "at least 3"}
    try:
        for done, sides in ways.items():
            calls = {name: (lambda side=side: side(server)) for name, side in sides.items()}
            figures = interleave(calls, ROUNDS)
            title = f"{MESSAGES:,} Pub/Sub messages of {len(DATA)} bytes {done}"
            table(title, figures, "messages/s", goals)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
