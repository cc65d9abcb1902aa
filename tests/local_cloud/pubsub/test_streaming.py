"""Streaming pulls, by raw calls."""

import asyncio

import grpc
import pytest

from buildflow_nb.local_cloud.pubsub import proto
from tests.local_cloud.pubsub.fakes import SUBSCRIPTION, TOPIC, raw
from tests.local_cloud.pubsub.raw_calls import (
    received,
    run,
    serving,
    status_of,
)


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

    def test_hold_no_more_bytes_than_asked_for(self):
        async def go():
            async with serving() as (server, caller):
                await caller.subscribe()
                stream = await caller.open(max_outstanding_bytes=100)
                server.publish(TOPIC, raw(b"x" * 100, b"y" * 100))
                first = await received(stream, 1)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await received(stream, 1)
                return first

        assert [one.message.data for one in run(go())] == [b"x" * 100]

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
