"""The actors of a driver: made, called, told that their host works, and ended.

An actor that Ray calls unavailable may come back, so a call of it is late; one that Ray calls dead
is gone for good. What Ray takes for dead may still run, where it is Ray's own process that died: on
this machine it is ended, elsewhere its replica ends by itself, since nobody tells it any more that
its host works.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.runtime.ray.cluster import KEEP, Cluster, arrived, blocking, reason
from buildflow_nb.runtime.ray.messages import Machine
from buildflow_nb.runtime.ray.placement import has_room, impossible, lacking
from buildflow_nb.runtime.ray.versions import Versions, mismatch, our_versions
from buildflow_nb.runtime.replicas.host import Wants

__all__ = ("BEAT_S", "Actors", "GoneActorError", "RaisedError", "RefusedError", "beat_every_s")

BEAT_S = 2.0
BEATS_PER_S = 50.0  # of all actors together: a beat costs the driver about 3 ms
LONGEST_BEAT_S = 8.0  # a beat that is late comes within FENCE_S all the same
BEAT_LATE_S = 10.0
ASK_S = 20.0  # for what Ray answers within a second on an idle machine
LOOK_S = 1.0
WAITS_S = 3.0  # until it is told that there is no room
STARTS_S = 15.0  # where there was room: a process that starts has taken it, and cannot tell yet
BIG = 2**20  # bytes that Ray copies while it holds up who calls

Tell = Callable[[str], Awaitable[None]]


class GoneActorError(Exception):
    """The process of an actor has ended."""


class RefusedError(Exception):
    """Its machine cannot run it."""


class RaisedError(Exception):
    """The replica raised."""


class _Actor:
    """One of them."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle
        self.process: ProcessId | None = None  # on this machine
        self.gone = ""
        self.beats: asyncio.Task[None] | None = None


class Actors:
    """All of them, by the numbers that their host has given them."""

    def __init__(self, cluster: Cluster, replica: str) -> None:
        self._cluster = cluster
        self._replica = replica
        self._actors: dict[int, _Actor] = {}

    async def spawn(self, number: int, name: str, wants: Wants, tell: Tell) -> tuple[int, str]:
        """Make one, wait until it answers, and tell its process and its machine.

        Raises:
            GoneActorError: it ended before.
            RefusedError: no machine that may run it can, or its replica cannot be made.
        """
        machines = await self._machines()
        if why := impossible(wants, machines):
            raise RefusedError(why)
        room = has_room(wants, machines)
        handle = await blocking(lambda: self._cluster.actor(name, number, wants), ASK_S)
        actor = self._actors[number] = _Actor(name, handle)
        try:
            about = await self._answers(actor, wants, tell, room=room)
            where = await self._made(actor, about)
        except BaseException:
            self._actors.pop(number, None)
            await asyncio.shield(self._end(actor))
            raise
        actor.beats = asyncio.create_task(self._beat(actor), name=f"beat {name}")
        return about["pid"], where

    async def _made(self, actor: _Actor, about: Any) -> str:
        """Have its replica made, if its machine can run it; tells the machine."""
        node = str(about["node"])
        where = await blocking(lambda: self._cluster.name_of(node), ASK_S)
        place = where or "this machine"
        if why := mismatch(our_versions(), Versions.told(about), place):
            raise RefusedError(why)
        if self._cluster.is_here(node):
            actor.process = ProcessId.of(about["pid"])
        well, told = await self._asked(actor, actor.handle.begin.remote(self._replica), None)
        if not well:
            msg = f"{actor.name} cannot be made on {place}: {told}"
            raise RefusedError(msg)
        return where

    async def call(self, number: int, method: str, payload: bytes, timeout_s: float) -> bytes:
        """Call the replica of one.

        Raises:
            GoneActorError: its process has ended.
            TimeoutError: no answer in time.
            RaisedError: the replica raised.
        """
        actor = self._actors.get(number)
        if actor is None or actor.gone:
            raise GoneActorError(actor.gone if actor else "its process was ended")

        def ask() -> Any:
            return actor.handle.call.remote(method, payload)

        reference = await blocking(ask, timeout_s) if len(payload) > BIG else ask()
        well, told = await self._asked(actor, reference, timeout_s)
        if not well:
            raise RaisedError(str(told))
        return bytes(told)

    async def kill(self, number: int) -> None:
        """End one; it is forgotten. Never raises."""
        actor = self._actors.pop(number, None)
        if actor is not None:
            await self._end(actor)

    async def kill_all(self) -> None:
        """End all of them at once. Never raises."""
        await asyncio.gather(*(self.kill(number) for number in list(self._actors)))

    async def drain(self, grace_s: float) -> None:
        """Have all of them drain, then end. Never raises; takes little longer than `grace_s`."""
        for actor in self._actors.values():
            _stop(actor.beats)
        actors = list(self._actors.values())
        await asyncio.gather(*(self._drained(actor, grace_s) for actor in actors))

    async def _drained(self, actor: _Actor, grace_s: float) -> None:
        with suppress(Exception):
            keep = actor.handle.end.options(concurrency_group=KEEP)
            await arrived(keep.remote(grace_s), grace_s + 5.0)

    async def _machines(self) -> list[Machine]:
        with suppress(Exception):
            return await blocking(self._cluster.machines, ASK_S)
        return []

    async def _answers(self, actor: _Actor, wants: Wants, tell: Tell, *, room: bool) -> Any:
        """Its first answer; while there is no room for it, what is lacking is told."""
        answer = asyncio.create_task(self._asked(actor, actor.handle.about.remote(), None))
        loop = asyncio.get_running_loop()
        # Room that was there is taken by now by the actor itself, whose process is starting.
        patient = loop.time() + (STARTS_S if room else WAITS_S)
        last = ""
        try:
            while not (await asyncio.wait({answer}, timeout=LOOK_S))[0]:
                if loop.time() < patient:
                    continue
                said = ""
                with suppress(Exception):
                    said = await blocking(lambda: lacking(wants, self._cluster.machines()), ASK_S)
                if said and said != last and not answer.done():
                    await tell(said)
                    last = said
            if last:
                await tell("")
            return answer.result()
        finally:
            answer.cancel()

    async def _asked(self, actor: _Actor, reference: Any, timeout_s: float | None) -> Any:
        try:
            return await arrived(reference, timeout_s)
        except TimeoutError:
            raise
        except Exception as error:
            if self._cluster.is_gone(error):
                self._lost(actor, error)
                raise GoneActorError(actor.gone) from error
            # Ray says that it cannot be reached for now, or that an answer was lost on its way.
            raise TimeoutError(reason(error)) from error

    def _lost(self, actor: _Actor, error: Exception) -> None:
        if not actor.gone:
            actor.gone = reason(error)
            _stop(actor.beats)
            _end_process(actor)

    async def _beat(self, actor: _Actor) -> None:
        beat = actor.handle.beat.options(concurrency_group=KEEP)
        while not actor.gone:
            with suppress(TimeoutError, GoneActorError):
                await self._asked(actor, beat.remote(), BEAT_LATE_S)
            await asyncio.sleep(beat_every_s(len(self._actors)))

    async def _end(self, actor: _Actor) -> None:
        _stop(actor.beats)
        actor.gone = actor.gone or "its process was ended"
        with suppress(Exception):
            await blocking(lambda: self._cluster.kill(actor.handle), ASK_S)
        _end_process(actor)


def beat_every_s(actors: int) -> float:
    """Seconds between two beats of each of so many actors: longer, the more there are."""
    return min(LONGEST_BEAT_S, max(BEAT_S, actors / BEATS_PER_S))


def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None and task is not asyncio.current_task():
        task.cancel()


def _end_process(actor: _Actor) -> None:
    """End what Ray has lost, or is slow to end."""
    if actor.process is not None and actor.process.alive():
        with suppress(OSError):
            os.kill(actor.process.pid, signal.SIGKILL)
