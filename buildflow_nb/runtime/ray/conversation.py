"""Questions to the driver and its answers, many at once: each question has a number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from buildflow_nb.runtime.ray.messages import (
    Answer,
    Call,
    Channel,
    Drop,
    Fault,
    Kill,
    Look,
    Lost,
    Process,
    Processes,
    Seen,
    Spawn,
    Spawned,
    Waits,
)
from buildflow_nb.runtime.replicas.host import GoneError

__all__ = ("Conversation",)


class Conversation:
    """What is asked over one channel; `told` hears the driver's processes."""

    def __init__(self, channel: Channel, told: Callable[[list[Process]], None]) -> None:
        self._channel = channel
        self._told = told
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[tuple[object, bytes]]] = {}
        self._waiting: dict[int, Callable[[str], None]] = {}
        self._drops: set[asyncio.Task[None]] = set()
        self.over = ""  # why nothing can be asked any more

    def number(self) -> int:
        """A number for a question."""
        return next(self._numbers)

    async def ask(
        self,
        message: Spawn | Call | Kill | Look,
        payload: bytes = b"",
        on_wait: Callable[[str], None] | None = None,
    ) -> tuple[object, bytes]:
        """Ask, and wait for the answer; being cancelled, the driver hears that nobody waits.

        Raises:
            GoneError: the driver is gone.
            ValueError: the payload is too long.
        """
        if self.over:
            raise GoneError(self.over)
        number = message.number
        asked: asyncio.Future[tuple[object, bytes]] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        if on_wait is not None:
            self._waiting[number] = on_wait
        try:
            # What cannot be sent any more is answered by `end`, which knows why.
            with suppress(ConnectionError):
                await self._channel.send(message, payload)
            return await asked
        except asyncio.CancelledError:
            self._drop(number)
            raise
        finally:
            self._asked.pop(number, None)
            self._waiting.pop(number, None)

    def _drop(self, number: int) -> None:
        async def drop() -> None:
            with suppress(ConnectionError):
                await self._channel.send(Drop(number))

        if not self.over:
            task = asyncio.create_task(drop(), name="drop a question")
            self._drops.add(task)
            task.add_done_callback(self._drops.discard)

    async def listen(self) -> str:
        """Hear the driver until there is nothing more to hear; why, if it has said so."""
        with suppress(ConnectionError):
            while True:
                message, payload = await self._channel.receive()
                if isinstance(message, Lost):
                    return message.why
                self._hear(message, payload)
        return ""

    def _hear(self, message: object, payload: bytes) -> None:
        if isinstance(message, Processes):
            self._told(message.living)
        elif isinstance(message, Waits):
            if on_wait := self._waiting.get(message.number):
                on_wait(message.what)
        elif isinstance(message, Spawned | Seen | Answer | Fault):
            asked = self._asked.get(message.number)
            if asked is not None and not asked.done():
                asked.set_result((message, payload))

    def end(self, why: str) -> None:
        """Nothing can be asked any more; those who wait hear why."""
        self.over = self.over or why
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(GoneError(self.over))
