"""The local cloud's Pub/Sub server: google.pubsub.v1 and google.iam.v1 over gRPC.

It lives on one event loop and listens on this machine only. What is not acknowledged outlives a
clean stop if a state folder was given.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from grpc import aio

from buildflow_nb.core.errors import ServeError
from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import (
    Calls,
    Handler,
    encode,
    service,
    unary,
    waiting_unary,
)
from buildflow_nb.local_cloud.pubsub.clock import Clock
from buildflow_nb.local_cloud.pubsub.iam import Policies
from buildflow_nb.local_cloud.pubsub.look import SERVICE, Looks
from buildflow_nb.local_cloud.pubsub.message import check_messages
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.publisher import Publisher
from buildflow_nb.local_cloud.pubsub.pull import Pull
from buildflow_nb.local_cloud.pubsub.push import Pushers
from buildflow_nb.local_cloud.pubsub.snapshots import Snapshots
from buildflow_nb.local_cloud.pubsub.state_file import StateFile
from buildflow_nb.local_cloud.pubsub.streaming import StreamingPull
from buildflow_nb.local_cloud.pubsub.subscriber import Subscriber
from buildflow_nb.local_cloud.pubsub.topic import Listener

__all__ = ("PubSubServer",)

TICK_S = 0.1  # deadlines are kept to a tenth of a second; Google's are "approximate"
CLEAN_EVERY_TICKS = 50  # retention is counted in minutes: five seconds are exact enough
GRACE_S = 0.5  # for calls that are being answered when the server stops
CLIENT_PING_MS = 10_000  # gRPC's own 5 minutes hang up on clients that keep idle streams alive
MOST_REQUEST_BYTES = 20 << 20  # above Google's 10 MB, so that the refusal is Pub/Sub's


class PubSubServer:
    """A server, to be started and stopped once; all methods belong to its event loop."""

    def __init__(self, options: PubSubOptions | None = None, clock: Clock | None = None) -> None:
        self._options = options or PubSubOptions()
        self._clock = clock or Clock()
        self._broker = Broker(self._options, self._clock)
        self._pushers = Pushers(self._broker)
        self._server: Any = None  # grpc.aio.Server
        self._ticking: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> int:
        """Restore the saved state, listen, and give the port; 0 chooses a free one.

        Raises:
            ServeError: the port cannot be bound.
        """
        if self._options.state is not None:
            state = StateFile(self._options.state)
            self._broker = await asyncio.to_thread(state.load, self._new_broker)
            self._pushers = Pushers(self._broker)
        server = aio.server(
            options=[
                ("grpc.max_receive_message_length", MOST_REQUEST_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # two servers on one port must be an error
                ("grpc.http2.min_ping_interval_without_data_ms", CLIENT_PING_MS),
            ]
        )
        server.add_generic_rpc_handlers(self._services())
        try:
            bound = _bind(server, self._options.host, port)
        except ServeError:
            await server.stop(None)
            raise
        await server.start()
        self._server = server
        self._ticking = asyncio.create_task(self._tick())
        return bound

    async def stop(self) -> None:
        """End all calls, then save the state.

        Raises:
            OSError: the state cannot be written.
        """
        if self._server is None or self._ticking is None:
            return
        server, self._server = self._server, None
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        await self._pushers.close()
        self._broker.close()
        await server.stop(GRACE_S)
        if self._options.state is not None:
            await asyncio.to_thread(StateFile(self._options.state).save, self._broker)

    def create_topic(self, name: str) -> None:
        """Make a topic of the running server, unless there is one of this name.

        Raises:
            StatusError: INVALID_ARGUMENT, if Google would refuse the name.
        """
        if name not in self._broker.topics:
            Publisher(self._broker).create(proto.Topic(name=name))

    def publish(self, topic: str, messages: Sequence[Pb]) -> list[str]:
        """Publish `PubsubMessage`s as a client would, and give their ids.

        Raises:
            StatusError: as for google.pubsub.v1 `Publish`.
        """
        request = proto.PublishRequest(topic=topic, messages=messages)
        check_messages(request)
        return [str(one.seq) for one in self._broker.publish(topic, request.messages)]

    def on_publish(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every batch of messages published to a topic, after delivery.

        It runs on the server's loop before the publisher is answered, and may publish to other
        topics; messages carry their ids and times. Returns a function that ends it.

        Raises:
            StatusError: NOT_FOUND without such a topic.
        """
        listeners = self._broker.topic(topic).listeners
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def _new_broker(self) -> Broker:
        return Broker(self._options, self._clock)

    def _services(self) -> tuple[Any, ...]:
        broker = self._broker
        streaming = grpc.stream_stream_rpc_method_handler(
            StreamingPull(broker).stream,
            request_deserializer=proto.StreamingPullRequest.FromString,
            response_serializer=encode,
        )
        subscriber = {
            **_handlers(Subscriber(broker).calls()),
            **_handlers(Snapshots(broker).calls()),
            "Pull": waiting_unary(proto.PullRequest, Pull(broker).pull),
            "StreamingPull": streaming,
        }
        return (
            service("google.pubsub.v1.Publisher", _handlers(Publisher(broker).calls())),
            service("google.pubsub.v1.Subscriber", subscriber),
            service(SERVICE, Looks(broker).handlers()),
            service("google.iam.v1.IAMPolicy", _handlers(Policies(broker).calls())),
        )

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            self._broker.tick()
            self._pushers.reconcile()
            if ticks % CLEAN_EVERY_TICKS == 0:
                self._broker.clean()


def _handlers(calls: Calls) -> Mapping[str, Handler]:
    return {name: unary(request_class, call) for name, (request_class, call) in calls.items()}


def _bind(server: Any, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return int(server.add_insecure_port(address))
    except RuntimeError as error:
        msg = f"cannot listen on {address}: is the port taken? Give another one, or 0 for any"
        raise ServeError(msg) from error
