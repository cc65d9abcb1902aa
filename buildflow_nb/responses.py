"""Responses under BuildFlow's names: starlette's classes, which people know, and event streams.

An endpoint returns one where a value in JSON is not what it wants to say: another status, headers,
cookies, a page, a file, a stream. Three are made from starlette's: a stream whose sync iterable
runs on the endpoint's own threads, a file that knows conditional requests, and server-sent events.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from starlette import responses as starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from buildflow_nb.core.conversion.encode import json_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Message, Receive, Scope, Send

__all__ = (
    "BackgroundTask",
    "BackgroundTasks",
    "EventSourceResponse",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "ServerSentEvent",
    "StreamingResponse",
)

KEEP_ALIVE_S = 15.0  # WHATWG HTML section 9.2.7: proxies drop connections that are silent
FIRST_S = 0.1  # seconds for a first event that comes at once, or fails, before the head goes out
_KEPT = ("cache-control", "content-location", "etag", "expires", "last-modified", "vary")


class StreamingResponse(starlette.StreamingResponse):
    """Starlette's, whose sync iterables run on threads of the endpoint's, and are closed there."""

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type, background)
        self.iterable = None if isinstance(content, AsyncIterable) else content
        """What is not async."""


class FileResponse(starlette.FileResponse):
    """Starlette's, which answers conditional requests (RFC 9110 section 13) as well as ranges.

    A file that grows while it is sent is cut off at the length that it had.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, a part of it, or that it has not changed."""
        if scope["type"] == "http":
            send = _cut_off(send)
            plain = self.status_code == 200 and scope["method"].upper() in ("GET", "HEAD")  # noqa: PLR2004
            found = await self._looked_at() if plain else None
            tag = self.headers.get("etag", "")
            unmet = found and _unmet(Headers(scope=scope), tag, int(found.st_mtime))
            if unmet:
                headers = {k: v for k, v in self.headers.items() if k in _KEPT}
                answer = Response(status_code=unmet, headers=headers, background=self.background)
                await answer(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _looked_at(self) -> os.stat_result | None:
        """What the file is at this moment; None where it is none, which starlette tells."""
        if self.stat_result is None:
            try:
                found = await run_in_threadpool(os.stat, self.path)
            except OSError:
                return None
            if not stat.S_ISREG(found.st_mode):
                return None
            self.stat_result = found
            self.set_stat_headers(found)
        return self.stat_result


def _unmet(headers: Headers, tag: str, changed: int) -> int | None:
    """The status where a condition of the request is not met; in the order of section 13.2.2."""
    wanted, known = headers.get("if-match"), headers.get("if-none-match")
    since = _seconds(headers.get("if-unmodified-since")) if wanted is None else None
    if wanted is not None and not _names(wanted, tag, weakly=False):
        return 412
    if since is not None and changed > since:
        return 412
    if known is not None:
        return 304 if _names(known, tag, weakly=True) else None
    since = _seconds(headers.get("if-modified-since"))
    return 304 if since is not None and changed <= since else None


def _names(header: str, tag: str, *, weakly: bool) -> bool:
    """Whether one of the tags in a header is this one."""
    tags = [one.strip() for one in header.split(",")]
    if weakly:
        tags, tag = [one.removeprefix("W/") for one in tags], tag.removeprefix("W/")
    return header.strip() == "*" or tag in tags


def _seconds(date: str | None) -> float | None:
    """A date in a header; None where it is none, and to be ignored."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _cut_off(send: Send) -> Send:
    """Drop what is longer than the head says."""
    left: int | None = None

    async def limited(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            length = Headers(raw=list(message["headers"])).get("content-length")
            left = None if length is None else int(length)
        elif left is not None and message["type"] == "http.response.body":
            body = message.get("body", b"")[:left]
            left -= len(body)
            message = {**message, "body": body}
        await send(message)

    return limited


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; `data` is text, or a value that is sent as JSON; `retry` is in milliseconds.

    Raises:
        ValueError: `event` or `id` has a line break, or `id` a NUL: it would end there.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and any(one in value for one in "\r\n\0"):
                msg = f"{name} of a server-sent event cannot hold line breaks or NUL: {value!r}"
                raise ValueError(msg)

    def encoded(self) -> bytes:
        """As it is sent (WHATWG HTML section 9.2.5)."""
        lines = [f": {line}" for line in _lines(self.comment)]
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {int(self.retry)}")
        if self.data is not None:
            data = self.data if isinstance(self.data, str) else json_bytes(self.data).decode()
            lines += [f"data: {line}" for line in _lines(data)]
        return "".join(f"{line}\n" for line in (*lines, "")).encode()


def _lines(text: str | None) -> list[str]:
    """Lines as they end there: by CR, LF or both, and by nothing else."""
    if text is None:
        return []
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


class EventSourceResponse(StreamingResponse):
    """A stream of server-sent events: `ServerSentEvent`s, texts, or values that are sent as JSON.

    A comment is sent when nothing was for `KEEP_ALIVE_S`. When the endpoint stops, the stream ends,
    and the browser comes back by itself with the last event's id in the header `Last-Event-ID`.
    """

    media_type = "text/event-stream"
    endless = True

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, None, background)
        self.headers.setdefault("cache-control", "no-cache")
        self.headers.setdefault("x-accel-buffering", "no")  # nginx would wait for more

    async def stream_response(self, send: Send) -> None:
        """Send events as they come, and comments in between."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        self._sent_at, self._sending = 0.0, asyncio.Lock()
        beating = asyncio.create_task(self._beat(send))
        try:
            async for item in self.body_iterator:
                event = item if isinstance(item, ServerSentEvent) else ServerSentEvent(item)
                await self._send(send, event.encoded())
        finally:
            beating.cancel()
            await asyncio.wait({beating})
            if not beating.cancelled():
                beating.exception()  # the client has left, which is told elsewhere
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, body: bytes) -> None:
        async with self._sending:
            self._sent_at = asyncio.get_running_loop().time()
            await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _beat(self, send: Send) -> None:
        """Send the head when the first event lets wait for itself, then comments."""
        allowed, silent, loop = FIRST_S, 0.0, asyncio.get_running_loop()
        while True:
            await asyncio.sleep(allowed - silent)
            silent = loop.time() - self._sent_at
            if silent >= allowed:
                await self._send(send, b":\n\n")
                silent = 0.0
            allowed = KEEP_ALIVE_S
