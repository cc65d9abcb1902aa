"""Calls to Pub/Sub in protobuf's own messages over `grpc.aio`.

Google's client libraries wrap every message and field in Python, which costs ten times as much as
the call. The address is looked up when a client opens and again after a call that failed to get
through, so an emulator that comes back elsewhere is found without a restart.

Methods: "google.pubsub.v1" (RPC reference). Routing header: AIP-4222, "Client-side routing".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import cache
from typing import Any
from urllib.parse import quote

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Env, label_of
from buildflow_nb.io.checks import looked
from buildflow_nb.io.gcp.clients import credentials
from buildflow_nb.io.gcp.errors import Target

__all__ = ("Address", "Messages", "Pb", "PubSubClient", "looked_at", "messages", "pubsub_address")

PUBSUB = "pubsub.googleapis.com:443"
LOOK_ROLE = "roles/pubsub.viewer"

Pb = Any  # a protobuf message or its class, which are made at run time

CHANNEL = (
    ("grpc.max_receive_message_length", -1),  # 10 MB messages; gRPC's own limit is 4 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 4 << 20),  # bytes; ids that an exactly-once refusal names
    ("grpc.keepalive_time_ms", 30_000),  # a connection that is cut in silence is found out
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),  # the pipeline backs off by itself, and says so;
    ("grpc.max_reconnect_backoff_ms", 2_000),  # gRPC's own goes up to two minutes
)
CLOSE_S = 0.5  # for calls under way when the channel closes


@dataclass(frozen=True, slots=True)
class Address:
    """`host:port`, and credentials of `google.auth`; without any it is spoken to in clear."""

    target: str
    credentials: Any = None


def pubsub_address(env: Env) -> Address:
    """Where Pub/Sub is; blocks where credentials have to be found. Raises as `credentials`."""
    endpoint = env.endpoints.get("pubsub")
    if endpoint is not None:
        return Address(endpoint.partition("://")[2].rstrip("/"))
    return Address(PUBSUB, credentials(env))


@dataclass(frozen=True, slots=True)
class Messages:
    """The classes of messages that are used here, without the wrappers of the client library."""

    PublishRequest: Pb
    PublishResponse: Pb
    PubsubMessage: Pb
    PullRequest: Pb
    PullResponse: Pb
    StreamingPullRequest: Pb
    StreamingPullResponse: Pb
    AcknowledgeRequest: Pb
    ModifyAckDeadlineRequest: Pb
    GetTopicRequest: Pb
    Topic: Pb
    GetSubscriptionRequest: Pb
    Subscription: Pb
    ListTopicSubscriptionsRequest: Pb
    ListTopicSubscriptionsResponse: Pb
    SeekRequest: Pb
    SeekResponse: Pb
    Empty: Pb


@cache
def messages() -> Messages:
    """The classes; loads the SDK."""
    from google.protobuf import empty_pb2
    from google.pubsub_v1 import types

    wrapped = [one.name for one in fields(Messages) if one.name != "Empty"]
    raw: dict[str, Pb] = {name: getattr(types, name).pb() for name in wrapped}
    return Messages(**raw, Empty=empty_pb2.Empty)


class PubSubClient:
    """A topic or subscription by its full name; `address` may block and is asked in a thread.

    `field` is what requests call the resource, `role` the one that allows the calls.
    """

    def __init__(
        self, address: Callable[[], Address], target: Target, field: str, name: str, role: str
    ) -> None:
        self.target = target
        self.name = name
        self._address = address
        self._role = role
        self._metadata = (("x-goog-request-params", f"{field}={quote(name, safe='')}"),)
        self._at: Address | None = None
        self._channel: Any = None  # grpc.aio.Channel
        self._stubs: dict[str, Any] = {}
        self._stale = True
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Let go of the connection."""
        channel, self._channel, self._stale = self._channel, None, True
        if channel is not None:
            await channel.close(CLOSE_S)

    async def open(self) -> None:
        """Load the SDK, and make a channel if there is none or the address may have changed.

        Raises:
            TemporaryError: credentials cannot be found for now.
            PermanentError: there are none.
        """
        if not self._stale:
            return
        async with self._opening:
            if not self._stale:  # another caller has done it
                return
            found = await asyncio.to_thread(self._look_up)
            if found != self._at or self._channel is None:
                old, self._channel, self._stubs = self._channel, _channel(found), {}
                self._at = found
                if old is not None:
                    await old.close(CLOSE_S)
            self._stale = False

    async def call(self, method: str, request: Pb, answer: Pb, deadline_s: float) -> Pb:
        """Make a unary call ("Publisher/Publish"), within so many seconds.

        Raises:
            AioRpcError: it failed; `refused` says what that means.
            TemporaryError: the address has changed meanwhile.
        """
        from grpc.aio import AioRpcError

        await self.open()
        stub = self._stub("unary_unary", method, type(request), answer)
        try:
            with self._cut():
                return await stub(request, timeout=deadline_s, metadata=self._metadata)
        except AioRpcError:
            self._stale = True
            raise

    async def look(self, method: str, request: Pb, answer: Pb, deadline_s: float) -> Pb:
        """Make one unary call, as `call` does, and say what a failure means.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us; a `DeniedError` where a permission is missing.
        """
        from grpc.aio import AioRpcError

        try:
            return await self.call(method, request, answer, deadline_s)
        except AioRpcError as error:
            raise self.refused(error) from error

    async def raw(self, path: str, request: bytes, deadline_s: float) -> bytes | None:
        """Make a unary call of bytes; None where there is no such method. Raises as `look`."""
        from grpc import StatusCode
        from grpc.aio import AioRpcError

        await self.open()
        try:
            with self._cut():
                answer: bytes = await self._channel.unary_unary(path)(request, timeout=deadline_s)
        except AioRpcError as error:
            if error.code() is StatusCode.UNIMPLEMENTED:
                return None
            raise self.refused(error) from error
        return answer

    async def stream(self, method: str, request: Pb, answer: Pb) -> Any:
        """Open a call with streams both ways and write the first request. Raises as `call`."""
        await self.open()
        call = self._stub("stream_stream", method, type(request), answer)(metadata=self._metadata)
        with self._cut():
            await call.write(request)
        return call

    async def read(self, call: Any) -> Pb:
        """The next answer of a stream, or `grpc.aio.EOF`. Raises as `call`."""
        with self._cut():
            return await call.read()

    async def write(self, call: Any, request: Pb) -> None:
        """Write a request of a stream, or with `None` end them.

        What goes wrong is left to whoever reads the stream.
        """
        from grpc.aio import AioRpcError, UsageError

        broken = (AioRpcError, UsageError, TemporaryError, asyncio.InvalidStateError)
        with suppress(*broken), self._cut():
            await (call.done_writing() if request is None else call.write(request))

    def refused(self, error: BaseException) -> BuildFlowError:
        """What a failed call means for the processor; looks the address up before the next."""
        from grpc.aio import AioRpcError

        self._stale = True
        if isinstance(error, BuildFlowError):
            return error
        if isinstance(error, AioRpcError):
            return self.target.refused(error, self._role)
        return TemporaryError(f"{self.target} cannot be reached: {error!r}")

    @contextmanager
    def _cut(self) -> Iterator[None]:
        """Tell a call that ended since its channel was closed from a caller that is cancelled."""
        try:
            yield
        except asyncio.CancelledError as error:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            msg = f"{self.target} cannot be reached: the connection was closed"
            raise TemporaryError(msg) from error

    def _look_up(self) -> Address:
        messages()  # a quarter of a second, for which the loop must not stand still
        with self.target.faults(self._role):
            return self._address()

    def _stub(self, shape: str, method: str, request: Pb, answer: Pb) -> Any:
        if method not in self._stubs:
            self._stubs[method] = getattr(self._channel, shape)(
                f"/google.pubsub.v1.{method}",
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )
        return self._stubs[method]


async def looked_at(
    primitive: object,
    connect: Callable[[], PubSubClient],
    look: Callable[[PubSubClient], Awaitable[str]],
) -> list[Finding]:
    """What a look through a client said, or why it could not, as one finding."""
    try:
        client = connect()
    except BuildFlowError as error:  # no project is known
        said, _, cure = str(error).partition("; ")
        return [Finding(label_of(primitive), Health.ERROR, said, cure)]
    try:
        return await looked(primitive, lambda: look(client), load=client.open, unseen=LOOK_ROLE)
    finally:
        await client.close()


def _channel(address: Address) -> Any:
    import grpc

    if address.credentials is None:
        return grpc.aio.insecure_channel(address.target, options=CHANNEL)
    from google.auth.transport.grpc import AuthMetadataPlugin
    from google.auth.transport.requests import Request

    plugin = AuthMetadataPlugin(address.credentials, Request())  # type: ignore[no-untyped-call]
    channel_credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin)
    )
    return grpc.aio.secure_channel(address.target, channel_credentials, options=CHANNEL)
