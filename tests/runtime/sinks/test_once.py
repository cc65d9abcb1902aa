"""Pushes under ids of their own: cut off anywhere, made again in other chunks, stored once."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from buildflow_nb.core.errors import PartialPushError, PermanentError, TemporaryError
from buildflow_nb.core.position import Position
from buildflow_nb.runtime.sinks import once
from buildflow_nb.runtime.sinks.once import OncePusher
from buildflow_nb.runtime.sinks.push import PushPlan, PushRequest
from tests.fakes import FakeClock

DEADLINE_S = 20.0
MOST = 5  # elements that the store takes at once


class Crash(Exception):  # noqa: N818
    """The end of a process."""


class Store:
    """Stores each push once; `crashes` at a push, before or after it is stored."""

    def __init__(self):
        self.rows: list[object] = []
        self.pushes: dict[str, list[object]] = {}
        self.crashes: tuple[int, str] | None = None
        self.calls = 0
        self.dead = asyncio.Event()

    async def push(self, items):
        pytest.fail("a push without an id")

    async def push_once(self, items, push):
        self.calls += 1
        assert len(items) == push.count
        if self.crashes == (self.calls, "before"):
            await self._die()
        before = self.pushes.setdefault(str(push), list(items))
        assert before == list(items), "the same id for other elements"
        if before is not items and len(self.rows) == push.first:
            self.rows += items
        if self.crashes == (self.calls, "after"):
            await self._die()

    async def _die(self):
        self.dead.set()
        await asyncio.Event().wait()


class World:
    """A source with a position, a store, and runs that are cut off."""

    def __init__(self, folder, elements, gives=lambda n: [n]):
        self.folder = folder
        self.elements = elements
        self.gives = gives
        self.kept = 0  # elements that the source has noted as done
        self.store = Store()
        self.warnings: list[str] = []
        self.keeps_fail = 0

    async def run(self, chunks, crash=None):
        """A run with chunks of such sizes; `crash` is when the store ends it."""
        self.store.calls, self.store.crashes, self.store.dead = 0, crash, asyncio.Event()
        clock = FakeClock()
        plan = PushPlan(MOST, 0.0, 2)
        position = Position(self.folder, "pushes")
        pusher = OncePusher(self.store, plan, clock, lambda _: None, position, "copy it!")
        pusher.warn = self.warnings.append
        done = [self.kept]

        async def settled():
            if self.keeps_fail:
                self.keeps_fail -= 1
                msg = "the disk is full"
                raise TemporaryError(msg)
            self.kept = done[0]

        pusher.settled = settled
        sizes = itertools.cycle(chunks)
        at = self.kept

        async def feed():
            nonlocal at
            while at < self.elements:
                end = min(at + next(sizes), self.elements)
                pairs = [(item, ("", n)) for n in range(at, end) for item in self.gives(n)]

                def settle(faults, end=end):
                    if not faults:
                        done[0] = end

                if pairs:
                    items, origins = zip(*pairs, strict=True)
                    await pusher.submit(PushRequest(list(items), settle, list(origins)))
                else:
                    settle({})
                at = end
            await pusher.close()

        feeding = asyncio.create_task(feed())
        running = asyncio.create_task(pusher.run())
        try:
            await clock.until(lambda: running.done() or self.store.dead.is_set())
            if self.store.dead.is_set():
                raise Crash
            running.result()
        finally:
            feeding.cancel()
            running.cancel()
            await asyncio.gather(feeding, running, return_exceptions=True)

    def expected(self):
        return [item for n in range(self.elements) for item in self.gives(n)]


def within(coroutine):
    async def go():
        async with asyncio.timeout(DEADLINE_S):
            await coroutine

    asyncio.run(go())


def cut_off(world, chunks, crash):
    with pytest.raises(Crash):
        within(world.run(chunks, crash))


def test_without_a_crash_all_is_stored_in_order(tmp_path):
    world = World(tmp_path, 37)
    within(world.run([4, 1, 9]))
    assert world.store.rows == world.expected()
    assert world.kept == 37
    firsts = [int(one.rsplit("-", 2)[1]) for one in world.store.pushes]
    assert firsts == sorted(firsts)
    assert all(one.startswith("copy_it_-") for one in world.store.pushes)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("chunks", [[1], [3, 1, 7], [40]])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_push_that_is_cut_off_is_made_again_as_it_was(tmp_path, call, chunks, when):
    world = World(tmp_path, 33, lambda n: [f"{n}.{i}" for i in range(n % 3)])
    cut_off(world, [7, 2], (call, when))
    within(world.run(chunks))
    assert world.store.rows == world.expected()
    assert world.warnings == []


def test_cut_off_again_and_again(tmp_path):
    chance = random.Random(7)  # noqa: S311
    for world_number in range(25):
        folder = tmp_path / str(world_number)
        world = World(folder, 60, lambda n: [f"{n}.{i}" for i in range(n % 4)])
        for _ in range(8):
            chunks = [chance.randint(1, 12) for _ in range(5)]
            crash = (chance.randint(1, 6), chance.choice(["before", "after"]))
            try:
                within(world.run(chunks, crash))
                break
            except Crash:
                continue
        else:
            within(world.run([3, 5]))
        assert world.store.rows == world.expected(), world_number
        assert world.warnings == []


def test_code_that_gives_something_else_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(once, "HOLD_S", 0.01)
    world = World(tmp_path, 10, lambda n: [n, n])
    cut_off(world, [4], (1, "after"))
    world.gives = lambda n: [n]
    within(world.run([4]))
    (said,) = world.warnings
    assert "the code now gives 4 again" in said
    assert "may be stored twice" in said


def test_that_no_more_is_pulled_is_no_reason_to_give_a_push_up(tmp_path):
    world = World(tmp_path, 10, lambda n: [n, n])
    cut_off(world, [4], (1, "after"))
    plain = OncePusher.submit

    async def hurried(pusher, request):
        await plain(pusher, request)
        pusher.hurry()  # the source has ended, and the rest is still at work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OncePusher, "submit", hurried)
        within(world.run([1]))
    assert world.store.rows == world.expected()
    assert world.warnings == []


def test_without_the_intents_another_chain_begins(tmp_path):
    world = World(tmp_path, 6)
    within(world.run([3]))
    for path in tmp_path.iterdir():
        path.unlink()
    world.kept, world.store.rows = 0, []
    within(world.run([3]))
    assert len({one.rsplit("-", 2)[0] for one in world.store.pushes}) == 2
    assert world.store.rows == world.expected()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "pushes": 3}'])
def test_intents_that_make_no_sense_count_as_none(tmp_path, text):
    position = Position(tmp_path, "pushes")
    position.write({})
    position.path.write_text(text)
    world = World(tmp_path, 6)
    within(world.run([3]))
    assert world.store.rows == world.expected()


def test_a_full_disk_is_waited_for_before_the_next_push(tmp_path):
    world = World(tmp_path, 12)
    world.keeps_fail = 3
    within(world.run([6]))
    assert world.store.rows == world.expected()
    assert world.keeps_fail == 0
    assert world.kept == 12


def test_elements_at_fault_are_told_and_the_others_go_on(tmp_path):
    world = World(tmp_path, 4)
    told = []

    async def refuse(items, push):
        msg = "one is bad"
        raise PartialPushError(msg, {1: ValueError("bad")})

    world.store.push_once = refuse

    async def go():
        position = Position(tmp_path, "pushes")
        pusher = OncePusher(
            world.store, PushPlan(MOST, 0.0, 2), FakeClock(), lambda _: None, position, "p"
        )
        await pusher.submit(PushRequest(["a", "b"], told.append, [("", 0), ("", 1)]))
        await pusher.close()
        await pusher.run()

    within(go())
    assert list(told[0]) == [1]


def test_what_can_never_be_written_ends_it(tmp_path):
    world = World(tmp_path, 4)

    async def never(items, push):
        msg = "no such table"
        raise PermanentError(msg)

    world.store.push_once = never
    with pytest.raises(PermanentError, match="no such table"):
        within(world.run([2]))
    assert world.kept == 0
