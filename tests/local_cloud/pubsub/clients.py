"""Google's own clients, aimed at one server, with names that no other test uses."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.types import BatchSettings, FlowControl, PublisherOptions
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

PATIENCE_S = 15.0  # for what should happen at once; only a failure reaches it
_numbers = itertools.count(1)


class Clients:
    """A publisher and a subscriber, and short ways to use them."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1)]
        )
        self._calls = PublisherClient(transport=PublisherGrpcTransport(channel=self.channel))
        self.publisher = self._publisher(ordered=False)
        self.ordered_publisher = self._publisher(ordered=True)
        self.subscriber = pubsub_v1.SubscriberClient(
            transport=SubscriberGrpcTransport(channel=self.channel)
        )

    def _publisher(self, *, ordered: bool) -> pubsub_v1.PublisherClient:
        return pubsub_v1.PublisherClient(
            batch_settings=BatchSettings(max_messages=100, max_latency=0.005),
            publisher_options=PublisherOptions(enable_message_ordering=ordered),
            transport=PublisherGrpcTransport(channel=self.channel),
        )

    def close(self) -> None:
        self.publisher.stop()
        self.ordered_publisher.stop()
        self.channel.close()

    def name(self, collection: str, project: str = "shop") -> str:
        return f"projects/{project}/{collection}/test-{os.getpid()}-{next(_numbers)}"

    def topic(self, **fields) -> str:
        name = self.name("topics")
        self.publisher.create_topic(request={"name": name, **fields})
        return name

    def subscription(self, topic: str, **fields) -> str:
        name = self.name("subscriptions")
        self.subscriber.create_subscription(request={"name": name, "topic": topic, **fields})
        return name

    def pair(self, **fields) -> tuple[str, str]:
        """A topic, and a subscription with these fields."""
        topic = self.topic()
        return topic, self.subscription(topic, **fields)

    def publish(self, topic: str, *data: bytes, **attributes: str) -> list[str]:
        """Publish in one request, in this order; gives the ids."""
        messages = [{"data": one, "attributes": attributes} for one in data]
        return list(self._calls.publish(topic=topic, messages=messages).message_ids)

    def publish_ordered(self, topic: str, key: str, *data: bytes) -> None:
        futures = [self.ordered_publisher.publish(topic, one, ordering_key=key) for one in data]
        for future in futures:
            future.result(PATIENCE_S)

    def pull(self, subscription: str, most: int = 100, wait_s: float = PATIENCE_S) -> list:
        """One pull that waits; nothing within the time is an empty list."""
        request = {"subscription": subscription, "max_messages": most}
        try:
            answer = self.subscriber.pull(request=request, timeout=wait_s, retry=None)
        except Exception as error:
            if getattr(error, "code", None) != 504:
                raise
            return []
        return list(answer.received_messages)

    def drain(self, subscription: str, count: int, *, ack: bool = True) -> list:
        """Pull until so many messages have come."""
        found: list = []
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {len(found)} of {count} messages came"
            pulled = self.pull(subscription, count - len(found))
            if pulled and ack:
                self.acknowledge(subscription, pulled)
            found += pulled
        return found

    def empty(self, subscription: str, wait_s: float = 0.5) -> bool:
        return self.pull(subscription, wait_s=wait_s) == []

    def acknowledge(self, subscription: str, messages: list) -> None:
        ack_ids = [message.ack_id for message in messages]
        self.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)

    def extend(self, subscription: str, messages: list, seconds: int) -> None:
        """Set the deadline of messages; 0 gives them back."""
        self.subscriber.modify_ack_deadline(
            subscription=subscription,
            ack_ids=[message.ack_id for message in messages],
            ack_deadline_seconds=seconds,
        )

    @contextmanager
    def streaming(
        self, subscription: str, callback: Callable, *, most: int = 1_000
    ) -> Iterator[pubsub_v1.subscriber.futures.StreamingPullFuture]:
        """Receive by `subscribe()`, the client's own streaming pull."""
        flow = FlowControl(max_messages=most)
        future = self.subscriber.subscribe(subscription, callback, flow_control=flow)
        try:
            yield future
        finally:
            future.cancel()
            if not future.done() or future.exception() is None:
                future.result(PATIENCE_S)


def data(messages: list) -> list[bytes]:
    return [received.message.data for received in messages]


def until(so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for something, within a deadline."""
    deadline = time.monotonic() + patience_s
    while not so():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience_s} s"
        time.sleep(0.01)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # the default of 5 lets connections wait for a second


class Endpoint:
    """An HTTP server that keeps what is posted to it; `statuses` are its answers, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self._statuses = list(statuses)
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    outer.posts.append((dict(self.headers), content))
                    status = outer._statuses.pop(0) if outer._statuses else 204
                self.send_response(status)
                self.send_header("Location", outer.url)
                self.end_headers()

            def log_message(self, *words):
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}/push"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)
