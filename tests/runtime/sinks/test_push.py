"""When a push is made: with what waits, or once nothing more is to come."""

from __future__ import annotations

import asyncio

from buildflow_nb.runtime.sinks.push import Pusher, PushPlan
from tests.fakes import FakeClock

DEADLINE_S = 20.0


class Sink:
    def __init__(self):
        self.pushes = []

    async def push(self, items):
        self.pushes.append(list(items))


def within(coroutine):
    async def go():
        async with asyncio.timeout(DEADLINE_S):
            await coroutine

    asyncio.run(go())


def pusher_of(sink, clock):
    return Pusher(sink, PushPlan(100, 60.0, 2), clock, lambda _: None)


def test_who_lingers_waits_for_more():
    async def go():
        sink = Sink()
        pusher = pusher_of(sink, FakeClock())
        running = asyncio.create_task(pusher.run())
        first = await pusher.push(["a"])
        second = await pusher.push(["b"])
        await asyncio.sleep(0)
        assert sink.pushes == []
        await pusher.close()
        await running
        assert sink.pushes == [["a", "b"]]
        assert (first.result(), second.result()) == ({}, {})

    within(go())


def test_nobody_waits_once_no_more_is_to_come():
    async def go():
        sink = Sink()
        pusher = pusher_of(sink, FakeClock())
        running = asyncio.create_task(pusher.run())
        first = await pusher.push(["a"])
        pusher.hurry()
        assert await first == {}
        assert await (await pusher.push(["b"])) == {}
        assert sink.pushes == [["a"], ["b"]]
        await pusher.close()
        await running

    within(go())
