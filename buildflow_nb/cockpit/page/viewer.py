"""One open page: its panel, what it was told, and when it is told more.

A page that does not read what it is sent, or whose socket is broken, is let go of after a while;
the others go on. What one page has opened is its own, what was clicked is everybody's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.cockpit.panel.picture import Picture, pause_s, picture
from buildflow_nb.cockpit.panel.pieces import Pieces

__all__ = ("MESSAGE_LIMIT", "Viewer")

_LOGGER = logging.getLogger(__name__)
MESSAGE_LIMIT = 24 * 2**20  # bytes of one message: a file of 16 MiB, as base64
EVERY_S = 0.1  # the least time between two updates, after a click
SEND_S = 20.0  # for a page to read what it is sent
BEAT_S = 5.0  # after which it is told that the program is there, if nothing else
LOOK_S = 2.0  # for the flow's loop to answer


class Viewer:
    """What one page shows, from its first message to its last; used on the page server's loop."""

    def __init__(
        self, cockpit: Cockpit, request: web.Request, socket: web.WebSocketResponse
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._transport = request.transport
        self._news = asyncio.Event()
        self._pieces = Pieces({})
        self._telling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cockpit = cockpit
        self.panel = Panel(cockpit, f"a page at {request.host}", self.wake, tell=self._tell)

    def wake(self) -> None:
        """Show soon what is new; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def serve(self) -> None:
        """Show the panel and take clicks, until the page goes."""
        with self._cockpit.watched(self.wake):
            showing = asyncio.create_task(self._show())
            try:
                await self._take()
            finally:
                showing.cancel()
                await asyncio.wait((showing, *self._tasks), timeout=SEND_S)

    async def _take(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                content = msgspec.json.decode(message.data)
            except (ValueError, RecursionError):
                continue  # no page of ours sends that
            if not isinstance(content, dict) or not isinstance(content.get("act"), str):
                continue
            if content["act"] in ("here", "gone"):
                continue
            if isinstance(content.get("n"), int):
                await self._send({"heard": content["n"]})
            await asyncio.to_thread(self._act, content)

    def _act(self, content: Mapping[str, Any]) -> None:
        try:
            self.panel.act(content)
        except Exception:  # a page must not end the server
            _LOGGER.exception("what was clicked could not be taken: %r", content.get("act"))

    async def _show(self) -> None:
        told_at = 0.0
        while not self._socket.closed:
            self._news.clear()
            made = await asyncio.to_thread(self._picture)
            message = self._pieces.news(made.label, made.parts)
            now = time.monotonic()
            if message is None and now - told_at >= BEAT_S:
                message = {"put": {}, "label": made.label}
            if message is not None:
                await self._send(message)
                told_at = now
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.wait_for(self._news.wait(), pause_s(made.cost_s) - EVERY_S)
            except TimeoutError:
                continue

    def _picture(self) -> Picture:
        before = Picture(self._pieces.label, self._pieces.told)
        try:
            return picture(self.panel, before, LOOK_S)
        except Exception:  # one picture that cannot be drawn must not end all that follow
            _LOGGER.exception("the page could not be drawn")
            why = self.panel.without_flow("it cannot be drawn; the log says why")
            return Picture(before.label, {**before.parts, **why})

    def _tell(self, **message: str) -> None:
        """Send the page something that is no state; from any thread."""

        def send() -> None:
            task = asyncio.create_task(self._send(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(send)

    async def _send(self, message: Mapping[str, Any]) -> None:
        text = msgspec.json.encode(message).decode()
        try:
            async with self._telling, asyncio.timeout(SEND_S):
                await self._socket.send_str(text)
        except (ConnectionError, TimeoutError, RuntimeError):
            if self._transport is not None:
                self._transport.abort()  # it reads nothing, or has gone
