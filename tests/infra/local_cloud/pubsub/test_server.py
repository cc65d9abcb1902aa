"""The server in this process, with raw calls where Google's clients are too polite."""

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest

from buildflow_nb.core.errors import ServeError, UsageError
from buildflow_nb.infra.local_cloud.pubsub import PubSubOptions, PubSubServer, proto
from buildflow_nb.infra.local_cloud.pubsub.status import StatusError
from tests.infra.local_cloud.pubsub.fakes import LETTERS, SUBSCRIPTION, TOPIC, raw

DEADLINE_S = 20.0  # far more than any test needs; only a hang reaches it


def run(coroutine):
    async def within():
        return await asyncio.wait_for(coroutine, DEADLINE_S)

    return asyncio.run(within())


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


class TestStreams:
    def test_every_answer_carries_the_properties(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe(enable_exactly_once_delivery=True)
                stream = await caller.open()
                server.publish(TOPIC, raw(b"1"))
                answers = [await stream.read(), await stream.read()]
                stream.cancel()
                return answers

        for answer in run(go()):
            assert answer.subscription_properties.exactly_once_delivery_enabled
            assert not answer.subscription_properties.message_ordering_enabled

    def test_hold_no_more_messages_than_asked_for(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open(max_outstanding_messages=2)
                server.publish(TOPIC, raw(b"1", b"2", b"3"))
                first = await received(stream, 2)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await received(stream, 1)
                return first

        assert [one.message.data for one in run(go())] == [b"1", b"2"]

    def test_go_on_when_there_is_room_again(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open(max_outstanding_bytes=150)
                server.publish(TOPIC, raw(b"x" * 100, b"y" * 100, b"z" * 100))
                seen = []
                for _ in range(3):
                    (one,) = await received(stream, 1)
                    seen.append(one.message.data[:1])
                    await stream.write(proto.StreamingPullRequest(ack_ids=[one.ack_id]))
                stream.cancel()
                return seen

        assert run(go()) == [b"x", b"y", b"z"]

    def test_take_messages_back(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open()
                server.publish(TOPIC, raw(b"1"))
                (one,) = await received(stream, 1)
                await stream.write(
                    proto.StreamingPullRequest(
                        modify_deadline_ack_ids=[one.ack_id], modify_deadline_seconds=[0]
                    )
                )
                (again,) = await received(stream, 1)
                stream.cancel()
                return one, again

        one, again = run(go())
        assert one.message == again.message
        assert one.ack_id != again.ack_id

    def test_confirm_what_is_exactly_once(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe(enable_exactly_once_delivery=True)
                stream = await caller.open()
                server.publish(TOPIC, raw(b"1"))
                (one,) = await received(stream, 1)
                ids = [one.ack_id, "gone"]
                await stream.write(
                    proto.StreamingPullRequest(
                        modify_deadline_ack_ids=ids, modify_deadline_seconds=[20, 20]
                    )
                )
                modified = (await stream.read()).modify_ack_deadline_confirmation
                await stream.write(proto.StreamingPullRequest(ack_ids=ids))
                acknowledged = (await stream.read()).acknowledge_confirmation
                stream.cancel()
                return one.ack_id, modified, acknowledged

        ack_id, *confirmations = run(go())
        for confirmation in confirmations:
            assert list(confirmation.ack_ids) == [ack_id]
            assert list(confirmation.invalid_ack_ids) == ["gone"]

    @pytest.mark.parametrize(
        ("first", "second", "reason"),
        [
            ({"stream_ack_deadline_seconds": 0}, None, "Invalid ack deadline"),
            ({"stream_ack_deadline_seconds": 9}, None, "Invalid ack deadline"),
            ({}, {"stream_ack_deadline_seconds": 601}, "Invalid ack deadline"),
            ({}, {"subscription": SUBSCRIPTION}, "may set subscription"),
            ({}, {"max_outstanding_messages": 5}, "may set max_outstanding_messages"),
            ({}, {"modify_deadline_ack_ids": ["a"]}, "give one for each"),
            (
                {},
                {"modify_deadline_ack_ids": ["a"], "modify_deadline_seconds": [-1]},
                "Invalid ack deadline",
            ),
        ],
    )
    def test_end_with_what_was_wrong(self, first, second, reason):
        async def go():
            async with serving() as (_, caller):
                await caller.subscribe()
                stream = await caller.open(**first)
                if second is not None:
                    await stream.write(proto.StreamingPullRequest(**second))
                return await status_of(stream)

        code, details = run(go())
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert reason in details

    def test_end_quietly_when_the_client_has_said_all(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open()
                server.publish(TOPIC, raw(b"1"))
                (one,) = await received(stream, 1)
                await stream.write(proto.StreamingPullRequest(ack_ids=[one.ack_id]))
                await stream.done_writing()
                code, _ = await status_of(stream)
                return code, server._broker.subscriptions[SUBSCRIPTION].held_bytes

        assert run(go()) == (grpc.StatusCode.OK, 0)

    def test_end_when_the_server_stops(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open()
                await stream.read()
                await server.stop()
                return await status_of(stream)

        code, details = run(go())
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in details

    def test_leave_what_they_held_to_the_next(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open()
                server.publish(TOPIC, raw(b"1"))
                (one,) = await received(stream, 1)
                stream.cancel()
                subscription = server._broker.subscriptions[SUBSCRIPTION]
                subscription.give_back([one.ack_id])
                (again,) = await received(await caller.open(), 1)
                return again.message.data

        assert run(go()) == b"1"


class TestPulls:
    def test_that_wait_end_empty_before_the_clients_deadline(self):
        async def go():
            async with serving() as (_, caller):
                await caller.subscribe()
                request = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=1)
                call = caller._channel.unary_unary(
                    "/google.pubsub.v1.Subscriber/Pull",
                    request_serializer=proto.PullRequest.SerializeToString,
                    response_deserializer=proto.PullResponse.FromString,
                )
                return await call(request, timeout=0.4)

        assert not run(go()).received_messages

    def test_of_a_deleted_subscription_end(self):
        async def go():
            async with serving() as (_, caller):
                await caller.subscribe()
                request = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=1)
                pull = asyncio.create_task(caller.subscriber("Pull", request, proto.PullResponse))
                await asyncio.sleep(0.05)
                gone = proto.DeleteSubscriptionRequest(subscription=SUBSCRIPTION)
                await caller.subscriber("DeleteSubscription", gone)
                await pull

        with pytest.raises(grpc.aio.AioRpcError, match="was deleted") as caught:
            run(go())
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class TestRouting:
    def test_a_listener_is_told_and_may_publish_elsewhere(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                server.create_topic(LETTERS)
                server.create_topic(LETTERS)
                seen = []

                def fan_out(messages):
                    seen.extend(messages)
                    server.publish(TOPIC, raw(*[b"to " + one.data for one in messages]))

                end = server.on_publish(LETTERS, fan_out)
                request = proto.PublishRequest(topic=LETTERS, messages=raw(b"1", b"2"))
                answer = await caller.publisher("Publish", request, proto.PublishResponse)
                end()
                await caller.publisher("Publish", request, proto.PublishResponse)
                pull = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=10)
                pulled = await caller.subscriber("Pull", pull, proto.PullResponse)
                return seen, answer, pulled

        seen, answer, pulled = run(go())
        assert [one.message_id for one in seen] == list(answer.message_ids)
        assert [one.message.data for one in pulled.received_messages] == [b"to 1", b"to 2"]

    def test_a_listener_that_cannot_publish_is_no_fault_of_the_publisher(self, caplog):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                server.on_publish(TOPIC, lambda messages: server.publish(LETTERS, messages))
                return server.publish(TOPIC, raw(b"1"))

        assert len(run(go())) == 1
        assert f"what was published to {TOPIC} was not passed on" in caplog.text

    def test_of_a_missing_topic_is_refused(self):
        async def go():
            async with serving() as (server, _):
                server.on_publish(TOPIC, print)

        with pytest.raises(StatusError, match="not found"):
            run(go())


class TestLife:
    def test_messages_outlive_a_clean_stop(self, tmp_path):
        options = PubSubOptions(state=tmp_path)

        async def first():
            async with serving(options) as (server, caller):
                await caller.subscribe()
                return server.publish(TOPIC, raw(b"1", b"2"))

        async def second():
            async with serving(options) as (server, caller):
                pull = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=10)
                pulled = await caller.subscriber("Pull", pull, proto.PullResponse)
                return pulled.received_messages, server.publish(TOPIC, raw(b"3"))

        ids = run(first())
        messages, more = run(second())
        assert [one.message.message_id for one in messages] == ids
        assert int(more[0]) > max(map(int, ids))

    def test_deadlines_are_watched(self, monkeypatch):
        monkeypatch.setattr("buildflow_nb.infra.local_cloud.pubsub.server.TICK_S", 0.01)

        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                server.publish(TOPIC, raw(b"1"))
                server._broker.subscriptions[SUBSCRIPTION].take(1, 1_000, 0.05)
                pull = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=10)
                return await caller.subscriber("Pull", pull, proto.PullResponse)

        assert len(run(go()).received_messages) == 1

    def test_a_taken_port_is_an_error_that_says_so(self, caplog):
        async def go():
            server = PubSubServer()
            port = await server.start()
            try:
                await PubSubServer().start(port)
            finally:
                await server.stop()

        with pytest.raises(ServeError, match="is the port taken"):
            run(go())

    def test_stopping_twice_is_harmless(self):
        async def go():
            server = PubSubServer()
            await server.stop()
            await server.start()
            await server.stop()
            await server.stop()
            return server._ticking.done()

        assert run(go())

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])  # noqa: S104
    def test_other_machines_are_kept_out(self, host):
        with pytest.raises(UsageError, match=r"use 127\.0\.0\.1"):
            PubSubOptions(host=host)

    def test_nothing_unexpected_is_logged(self, caplog):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open()
                await stream.read()
                server.publish(TOPIC, raw(b"1"))
                stream.cancel()

        with caplog.at_level(logging.INFO):
            run(go())
        assert caplog.text == ""
