"""The server in this process: pulls, routing, its life."""

import asyncio
import logging

import grpc
import pytest

from buildflow_nb.core.errors import ServeError, UsageError
from buildflow_nb.local_cloud.pubsub import PubSubOptions, PubSubServer, proto
from buildflow_nb.local_cloud.pubsub.status import StatusError
from tests.local_cloud.pubsub.clients import Endpoint
from tests.local_cloud.pubsub.fakes import LETTERS, SUBSCRIPTION, TOPIC, Hands, raw
from tests.local_cloud.pubsub.raw_calls import (
    eventually,
    run,
    serving,
)


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
        monkeypatch.setattr("buildflow_nb.local_cloud.pubsub.server.TICK_S", 0.01)

        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                server.publish(TOPIC, raw(b"1"))
                server._broker.subscriptions[SUBSCRIPTION].take(1, 1_000, 0.05)
                pull = proto.PullRequest(subscription=SUBSCRIPTION, max_messages=10)
                return await caller.subscriber("Pull", pull, proto.PullResponse)

        assert len(run(go()).received_messages) == 1

    def test_what_is_too_old_is_dropped(self, monkeypatch):
        monkeypatch.setattr("buildflow_nb.local_cloud.pubsub.server.TICK_S", 0.001)
        hands = Hands()

        async def go():
            server = PubSubServer(clock=hands.clock())
            await server.start()
            server.create_topic(TOPIC)
            config = proto.Subscription(name=SUBSCRIPTION, topic=TOPIC)
            subscription = server._broker.add_subscription(config)
            config.message_retention_duration.seconds = 600
            server.publish(TOPIC, raw(b"1"))
            hands.turn(601)
            await eventually(lambda: not subscription.held_bytes)
            await server.stop()
            return subscription.unacknowledged()

        assert run(go()) == []

    def test_push_endpoints_are_served(self):
        async def go(url):
            async with serving() as (server, caller):
                await caller.subscribe(push_config={"push_endpoint": url})
                server.publish(TOPIC, raw(b"1"))
                subscription = server._broker.subscriptions[SUBSCRIPTION]
                await eventually(lambda: not subscription.held_bytes)

        with Endpoint() as endpoint:
            run(go(endpoint.url))
            assert len(endpoint.posts) == 1

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
