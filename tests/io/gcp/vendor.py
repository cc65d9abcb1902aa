"""Google's clients of Pub/Sub: what they publish, see and make is not ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import grpc
from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

__all__ = ("PROJECT", "PubSub")

PROJECT = "shop-project"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
GIVE_UP_S = 0.25  # after which a subscription without messages is empty


class PubSub:
    """Topics and subscriptions by their short names, in one project."""

    def __init__(self, url: str) -> None:
        self._channel = grpc.insecure_channel(url.removeprefix("http://"), options=UNLIMITED)
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def make(self, name: str, messages: Sequence[object] = (), **words: object) -> None:
        """A topic and a subscription of the same name, with these messages."""
        self.publisher.create_topic(name=self.topic(name))
        self.subscribe(name, **words)
        self.publish(name, messages)

    def subscribe(self, name: str, **words: object) -> None:
        request = {"name": self.subscription(name), "topic": self.topic(name), **words}
        self.subscriber.create_subscription(request=request)

    def publish(self, name: str, messages: Sequence[object]) -> None:
        """Publish bytes, or messages as Google's client has them."""
        whole = [one if isinstance(one, dict) else {"data": one} for one in messages]
        for start in range(0, len(whole), 1000):
            self.publisher.publish(topic=self.topic(name), messages=whole[start : start + 1000])

    def left(self, name: str, most: int = 10_000) -> list[object]:
        """The messages that can be had now, which stay; in the order they were published."""
        subscription = self.subscription(name)
        found = []
        while len(found) < most:
            try:
                reply = self.subscriber.pull(
                    subscription=subscription, max_messages=1000, timeout=GIVE_UP_S, retry=None
                )
            except DeadlineExceeded:
                break
            if not reply.received_messages:
                break
            found += reply.received_messages
        if found:
            ids = [one.ack_id for one in found]
            self.subscriber.modify_ack_deadline(
                subscription=subscription, ack_ids=ids, ack_deadline_seconds=0
            )
        return sorted((one.message for one in found), key=lambda m: int(m.message_id))

    @staticmethod
    def topic(name: str) -> str:
        return f"projects/{PROJECT}/topics/{name}"

    @staticmethod
    def subscription(name: str) -> str:
        return f"projects/{PROJECT}/subscriptions/{name}"
