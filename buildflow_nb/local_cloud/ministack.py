"""Amazon's part of the local cloud: ministack, with receive calls that end with their client.

A process that ends in the middle of a long poll leaves the call behind. The emulator would answer
it all the same, up to 20 seconds later, and what it gave to nobody were hidden for a whole
visibility timeout: a message that is sent right after Ctrl-C and `buildflow run`, say. So such a
call is given up as soon as its connection has been closed. Nothing else is, since a change that was
begun is better finished.

It also tells what is in a queue, to whoever only looks (`queue_look.py`).

Run as `python -m buildflow_nb.local_cloud.ministack`, with ministack's own environment. The
interface between the two is ASGI (specification 2.4, "HTTP & WebSocket protocol").
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from buildflow_nb.local_cloud import queue_look

__all__ = ("Receiving", "main")

RECEIVE = b"AmazonSQS.ReceiveMessage"

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]


class Receiving:
    """An application whose receive calls of SQS end when their clients are gone."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == queue_look.PATH:
            await queue_look.answer(scope, send)
            return
        if scope["type"] != "http" or RECEIVE not in dict(scope["headers"]).values():
            await self._app(scope, receive, send)
            return
        events = await _request(receive)
        gone = asyncio.ensure_future(receive())

        async def replay() -> Event:
            return events.pop(0) if events else await asyncio.shield(gone)

        answer = asyncio.ensure_future(self._app(scope, replay, send))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
            await asyncio.wait({answer})
        if not answer.cancelled():
            answer.result()


async def _request(receive: Receive) -> list[Event]:
    """The whole body of a request, or as much as came of it."""
    events = [await receive()]
    while events[-1]["type"] == "http.request" and events[-1].get("more_body"):
        events.append(await receive())
    return events


def main() -> None:
    """Serve until a signal comes."""
    app: Any = importlib.import_module("ministack.app")  # it has no types
    app.app = Receiving(app.app)
    app.main()


if __name__ == "__main__":
    main()
