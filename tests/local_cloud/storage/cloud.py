"""Google's part of a local cloud, started as the supervisor starts it, with either emulator."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import grpc
import psutil
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1, storage
from google.cloud.pubsub_v1.subscriber.message import Message
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from buildflow_nb.local_cloud import emulators
from buildflow_nb.local_cloud.child import Command, clean_environment
from buildflow_nb.local_cloud.ports import Ports

PATIENCE_S = 20.0  # for what takes a moment; only a failure reaches it
EMULATORS = ("fake-gcs-server", "gcp-storage-emulator")
PROJECT = "the-shop"  # the client takes six letters at least


@dataclass
class Cloud:
    """Where everything is, Google's clients for it, and the process of the front."""

    emulator: str
    folder: Path
    ports: dict[str, int]
    front: psutil.Process
    storage: storage.Client
    publisher: pubsub_v1.PublisherClient
    subscriber: pubsub_v1.SubscriberClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['storage']}"

    def bucket(self, name: str, **fields) -> storage.Bucket:
        return self.storage.create_bucket(name, **fields)

    def listen(self, bucket: storage.Bucket, name: str, **fields) -> Events:
        """A notification of a bucket, with a topic and a subscription of its own."""
        topic = f"projects/{PROJECT}/topics/{name}"
        subscription = f"projects/{PROJECT}/subscriptions/{name}"
        self.publisher.create_topic(request={"name": topic})
        self.subscriber.create_subscription(request={"name": subscription, "topic": topic})
        wanted = {"topic_project": PROJECT, "payload_format": "JSON_API_V1", **fields}
        notification = bucket.notification(name, **wanted)
        notification.create()
        return Events(self.subscriber, subscription, topic, notification)


@dataclass
class Events:
    """What reaches a subscription."""

    subscriber: pubsub_v1.SubscriberClient
    subscription: str
    topic: str
    notification: storage.notification.BucketNotification

    def take(self, count: int) -> list[Message]:
        """Pull until so many have come."""
        found: list = []
        end = time.monotonic() + PATIENCE_S
        while len(found) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} events: {found}"
            request = {"subscription": self.subscription, "max_messages": count}
            pulled = self.subscriber.pull(request=request, timeout=PATIENCE_S).received_messages
            ids = [one.ack_id for one in pulled]
            self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ids)
            found += [one.message for one in pulled]
        return found

    def before(self, last: str) -> dict[str, Message]:
        """The events until an object of this name is written, by type."""
        found: dict[str, Message] = {}
        while True:
            (event,) = self.take(1)
            if event.attributes["objectId"] == last:
                return found
            found[event.attributes["eventType"]] = event

    def through(self, subscriber: pubsub_v1.SubscriberClient) -> Events:
        """The same, through another client."""
        return replace(self, subscriber=subscriber)

    def arrived(self) -> None:
        """Wait until an event is there, and leave it there."""
        request = {"subscription": self.subscription, "max_messages": 1}
        (one,) = self.subscriber.pull(request=request, timeout=PATIENCE_S).received_messages
        self.subscriber.modify_ack_deadline(
            subscription=self.subscription, ack_ids=[one.ack_id], ack_deadline_seconds=0
        )

    def told(self, count: int) -> list[tuple[str, str]]:
        """The types and names of so many events, in any order."""
        return sorted(
            (one.attributes["eventType"].removeprefix("OBJECT_"), one.attributes["objectId"])
            for one in self.take(count)
        )


@contextmanager
def running(emulator: str, folder: Path) -> Iterator[Cloud]:
    """The Pub/Sub server, the front and an emulator, until the context is left."""
    held = Ports(folder)
    ports = held.choose(emulators.PORTS)
    held.let_go()
    with ExitStack() as stack:
        if emulator != EMULATORS[0]:
            stack.enter_context(mock.patch.object(emulators, "storage_binary", return_value=None))
        by_name = {command.name: command for command in emulators.commands(folder, ports)}
        front = stack.enter_context(_process(by_name["gcp"], folder))
        stack.enter_context(_process(by_name["storage"], folder))
        where = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{ports['storage']}"}
        with mock.patch.dict(os.environ, where):
            client = storage.Client(PROJECT, credentials=AnonymousCredentials())
        stack.callback(client.close)
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{ports['pubsub']}"))
        yield Cloud(
            emulator,
            folder,
            ports,
            psutil.Process(front.pid),
            client,
            pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
            pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
        )


@contextmanager
def _process(command: Command, folder: Path) -> Iterator[subprocess.Popen]:
    log = folder / f"{command.name}.log"
    with log.open("ab") as out:
        env = {**clean_environment(), **command.environment}
        process = subprocess.Popen(command.words, stdout=out, stderr=out, env=env)
    try:
        end = time.monotonic() + PATIENCE_S
        while not all(map(_answers, command.ports)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
