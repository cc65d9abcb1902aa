"""Everything that the front does not answer itself: objects, passed to the emulator and back.

What changes something is looked at on the way: its names before, its answer after, where events are
made here. The event is in the topics before the client hears that its object was written.
"""

from __future__ import annotations

from aiohttp import web

from buildflow_nb.local_cloud.storage.emulator import Answer, Emulator
from buildflow_nb.local_cloud.storage.object_names import (
    check_metadata,
    check_path,
    checked_body,
)
from buildflow_nb.local_cloud.storage.observer import OBJECT, Observer
from buildflow_nb.local_cloud.storage.refusal import not_here

__all__ = ("Objects",)

OVERRIDING = frozenset({"DELETE", "PATCH", "PUT"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OVERRIDE = "X-HTTP-Method-Override"  # by which clients that cannot send PATCH send it as POST


class Objects:
    """Requests for the emulator; `observer` is None where the emulator tells its events itself."""

    def __init__(self, emulator: Emulator, observer: Observer | None) -> None:
        self._emulator = emulator
        self._observer = observer

    async def on(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, and its answer back.

        Raises:
            RefusedError: a name is refused, or no answer came.
        """
        body = await checked_body(request)
        if request.method in READING:
            return await self._emulator.read(request, body)
        method = _method(request)
        going = await self._observer.before(method, request.raw_path) if self._observer else None
        answer = await self._emulator.write(request, method, body)
        if self._observer:
            self._observer.after(method, answer, going)
        return answer.response()

    async def call(self, method: str, path: str, body: bytes | None) -> Answer:
        """Do one short call that came as part of another request.

        Raises:
            RefusedError: a name is refused, or no answer came.
        """
        check_path(path)
        check_metadata(body or b"")
        going = await self._observer.before(method, path) if self._observer else None
        answer = await self._emulator.ask(method, path, body)
        if self._observer:
            self._observer.after(method, answer, going)
        return answer


def _method(request: web.Request) -> str:
    wanted = request.headers.get(OVERRIDE)
    if request.method != "POST" or wanted is None:
        return request.method
    if wanted not in OVERRIDING or OBJECT.fullmatch(request.raw_path.partition("?")[0]) is None:
        msg = f"{OVERRIDE} takes {', '.join(sorted(OVERRIDING))} here, of an object's metadata"
        raise not_here(msg)
    return wanted
