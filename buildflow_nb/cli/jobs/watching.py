"""A submitted job until its end: its log, its status, and being asked to stop.

The log comes on a line that is held open; when it is cut it is taken up where it was. A server
that is silent for a while is waited for, since the job goes on without whoever looks at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from buildflow_nb.cli.jobs.server import Job, JobServer, SilentError
from buildflow_nb.core.errors import RunError

__all__ = ("Asked", "Watch")

LOOK_S = 1.0
PATIENCE_S = 60.0
MOST_PAUSE_S = 15.0
LAST_S = 10.0  # for what the log still has to say once the job has ended


@dataclass(slots=True)
class Asked:
    """What a person asked for meanwhile: once to stop, twice to be left alone."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    def again(self) -> bool:
        """Ask once more; whether this was the first time."""
        first = not self.stop.is_set()
        (self.stop if first else self.leave).set()
        return first


class Watch:
    """Looks at one job; `say` gets its log, whole lines and parts of them as they come.

    `note` hears what a person should know meanwhile.
    """

    def __init__(
        self,
        server: JobServer,
        name: str,
        say: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._server, self._name, self._say, self._note = server, name, say, note
        self._said = 0  # letters of the log
        self._open = self._whole = False  # whether the line to it is, and came to its end

    async def until_ended(self, asked: Asked) -> Job | None:
        """How the job ended; `None` if it was left before.

        Raises:
            RunError: the server was silent for too long, or does not know the job any more.
        """
        log = asyncio.create_task(self._follow(), name="follow the log of a job")
        try:
            job = await self._look(asked, log)
            if job is not None:
                await self._finish(log)
            return job
        finally:
            log.cancel()
            with suppress(asyncio.CancelledError):
                await log

    async def _look(self, asked: Asked, log: asyncio.Task[None]) -> Job | None:
        loop = asyncio.get_running_loop()
        told, answered, silent = False, loop.time(), False
        while not asked.leave.is_set():
            if log.done():
                log.result()  # whoever read it may be gone
            try:
                if asked.stop.is_set() and not told:
                    await self._server.stop(self._name)
                    told = True
                job = await self._server.job(self._name)
                answered, silent = loop.time(), False
            except SilentError as error:
                if not silent:
                    silent = True
                    self._note(f"{error}; it is waited for, the job goes on meanwhile")
                if loop.time() - answered > PATIENCE_S:
                    msg = f"job {self._name} was lost sight of, and may go on: {error}"
                    raise RunError(msg) from error
            else:
                if job.ended:
                    return job
            await self._pause(asked.leave if asked.stop.is_set() else asked.stop)
        return None

    async def _pause(self, event: asyncio.Event) -> None:
        """Wait a moment, or until something is asked for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await event.wait()

    async def _follow(self) -> None:
        pause = LOOK_S
        while not self._whole:
            begun = 0
            try:
                async for text in self._server.follow(self._name):
                    self._open = True
                    begun, pause = begun + len(text), LOOK_S
                    self._tell(text, begun)
                self._whole = True
            except SilentError:
                self._open = False
                await asyncio.sleep(pause)
                pause = min(2 * pause, MOST_PAUSE_S)  # the whole log is asked for each time
                with suppress(RunError):  # something between may let no open line through
                    await self._catch_up()

    async def _finish(self, log: asyncio.Task[None]) -> None:
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await asyncio.shield(log)
        if not self._whole:
            with suppress(RunError):
                await self._catch_up()

    async def _catch_up(self) -> None:
        text = await self._server.log(self._name)
        self._tell(text, len(text))

    def _tell(self, text: str, upto: int) -> None:
        """Say what of `text`, which ends at that letter of the log, was not said yet."""
        new = upto - self._said
        if new > 0:
            self._say(text[-new:] if new < len(text) else text)
            self._said = upto
