"""One WebSocket (RFC 6455) at work: starlette's `WebSocket` over aiohttp's frames.

Guarantees: a message is at most `MESSAGE_LIMIT` bytes, unpacked, or it closes with 1009. What
is written and not read is at most what aiohttp and the transport buffer; a client that reads
nothing for `SEND_S` is dropped. One that is silent is pinged, and dropped if it stays so. Pings and
closes are answered while the function is busy with something else than receiving. What the client
has sent is given to the function in order, and then, once, how it ended.

Importing this imports starlette.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiohttp import WebSocketError, WSMessage, WSMsgType, hdrs, web
from starlette.types import Message, Scope
from starlette.websockets import WebSocket

from buildflow_nb.runtime.http.asgi_scope import scope_of
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import SERVER_NAME, error_response

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.connection import Connection

__all__ = (
    "GOING_AWAY",
    "MESSAGE_LIMIT",
    "SocketSession",
    "fits_handshake",
    "reason_bytes",
    "socket_scope",
)

# Bytes of a message. Nobody sees how much of one aiohttp's parser holds while it comes, so that is
# not counted with bodies: this bounds what is held for a thousand open sockets to a gigabyte.
MESSAGE_LIMIT = 2**20
GOING_AWAY = 1001
NO_CODE, ABNORMAL = 1005, 1006  # RFC 6455 section 7.4.1: never sent, only told
BEAT_S = 5.0  # seconds between two looks at a socket
PING_S = 20.0  # seconds of silence after which the client is pinged, as long again for an answer
SEND_S = 60.0  # seconds that the client may read nothing
CLOSE_S = 5.0  # seconds for the client to answer a close
GOODBYE_S = 5.0  # seconds for a function to end once its socket is closed because of a stop
REASON = 123  # bytes of a close's reason (RFC 6455 section 5.5)
_LEFT = "the WebSocket is closed"
_SENDABLE = (*range(1000, 1004), *range(1007, 1015))


class SocketSession:
    """One WebSocket, from the request for it to its end.

    `deadline` is the `asyncio.timeout` that the function runs in, while it does.
    """

    def __init__(self, bounded: BoundedRequest, values: Mapping[str, str]) -> None:
        self.bounded = bounded
        self.scope = bounded.socket_scope or socket_scope(bounded, values)
        self.websocket: WebSocket = DirectWebSocket(self)
        self.answer: web.StreamResponse | None = None
        """What the request was answered with: the WebSocket, or a denial."""
        self.ended: tuple[int, str] | None = None
        """The code and the reason that it was closed with, by either side."""
        self.deadline: asyncio.Timeout | None = None
        self.frames: web.WebSocketResponse | None = None
        """aiohttp's side of it, once it is accepted."""
        self._connected = False
        self._told = False
        self._denial: Message | None = None
        self._ahead: asyncio.Task[WSMessage] | None = None
        self._receiving = False
        self._beat: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self.frames is not None and self.ended is None

    # What the function does, as ASGI messages.

    async def receive(self) -> Message:
        """The next message (asgi.readthedocs.io, WebSocket 2.4)."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while self.ended is None:
            found = await self.next_frame()
            if found.type is WSMsgType.TEXT:
                return {"type": "websocket.receive", "text": found.data}
            if found.type is WSMsgType.BINARY:
                return {"type": "websocket.receive", "bytes": bytes(found.data)}
        code, reason = self.ended
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    async def send(self, message: Message) -> None:
        """Accept, send or close.

        Raises:
            OSError: the client has left.
            RuntimeError: the message is none of a WebSocket, or its code or protocol cannot be.
        """
        kind = message["type"]
        if kind == "websocket.accept":
            await self._accept(message)
        elif kind == "websocket.send":
            text = message.get("text")
            await self.give(message["bytes"] if text is None else text)
        elif kind == "websocket.close":
            await self.close(message.get("code", 1000), message.get("reason") or "")
        else:
            self._deny(message)

    async def give(self, data: str | bytes) -> None:
        """Send a message; waits while the client does not read.

        Raises:
            ConnectionResetError: the socket is closed, or the client has left.
        """
        frames = self.frames
        if frames is None or self.ended is not None:
            raise ConnectionResetError(_LEFT)
        if type(data) is str:
            await frames.send_str(data)
        else:
            await frames.send_bytes(cast("bytes", data))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, or deny what has not been accepted; nothing where it is over.

        Raises:
            RuntimeError: the code cannot be sent.
        """
        if code not in _SENDABLE and not 3000 <= code <= 4999:  # noqa: PLR2004
            msg = f"a WebSocket cannot be closed with {code}; use 1000, or 3000 to 4999"
            raise RuntimeError(msg)
        if self.frames is None:
            if self.answer is None:
                self.answer = error_response(403, reason or "Forbidden")
                self.ended = (ABNORMAL, reason)
            return
        if self.ended is None:
            self.ended = (code, reason)
            with suppress(ConnectionError):
                await self.frames.close(code=code, message=reason_bytes(reason))

    # What becomes of it from outside.

    def go_away(self) -> None:
        """Close it because its route stops; its function has `GOODBYE_S` to end."""
        if self.open:
            self._spawn(self.close(GOING_AWAY, "the service stops"))
        self.end_in(GOODBYE_S if self.frames is not None else 0)

    def end_in(self, seconds: float) -> None:
        """Let the function be cancelled after so many seconds."""
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(self._loop.time() + seconds)

    def lose(self) -> None:
        """Take note that the connection is lost."""
        if self.ended is None:
            self.ended = (ABNORMAL, "")

    def drop(self) -> None:
        """Cut the connection."""
        self.lose()
        if self.bounded.transport is not None:
            self.bounded.transport.abort()

    async def over(self) -> None:
        """Let go of everything; the function has ended."""
        if self._beat is not None:
            self._beat.cancel()
        for task in (self._ahead, *self._tasks):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=CLOSE_S)

    # The frames.

    async def next_frame(self) -> WSMessage:
        """The next message of the client's, or its end; which is noted, too."""
        frames = cast("web.WebSocketResponse", self.frames)
        if self._ahead is not None:
            await asyncio.wait((self._ahead,))
            ahead, self._ahead = self._ahead, None
            found = ahead.result()
        else:
            self._receiving = True
            try:
                found = await frames.receive()
                if found.type is WSMsgType.CLOSE:
                    await self._answer_close(found)
            finally:
                self._receiving = False
        if found.type is not WSMsgType.TEXT and found.type is not WSMsgType.BINARY:
            self._note_end(found)
        return found

    def _note_end(self, found: WSMessage) -> None:
        if self.ended is not None:
            return
        if found.type is WSMsgType.CLOSE:
            self.ended = (found.data or NO_CODE, found.extra or "")
        elif isinstance(found.data, WebSocketError):
            self.ended = (int(found.data.code), str(found.data))
        else:
            self.ended = (ABNORMAL, "")

    async def _accept(self, message: Message) -> None:
        chosen = message.get("subprotocol")
        offered = self.scope["subprotocols"]
        if chosen is not None and chosen not in offered:
            msg = f"the subprotocol {chosen!r} was not offered; the client knows {offered}"
            raise RuntimeError(msg)
        frames = web.WebSocketResponse(
            timeout=CLOSE_S,
            autoclose=False,  # it would answer each close with 1000
            max_msg_size=MESSAGE_LIMIT + 1,  # aiohttp refuses one of this size
            protocols=[chosen] if chosen else (),
        )
        frames.headers[hdrs.SERVER] = SERVER_NAME
        for name, value in message.get("headers", ()):
            if name.lower() == b"sec-websocket-protocol":
                msg = "name the subprotocol as such: accept(subprotocol=...)"
                raise RuntimeError(msg)
            frames.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        await frames.prepare(self.bounded if chosen else _without_protocols(self.bounded))
        self.frames = self.answer = frames
        self._connection.heard_at = self._loop.time()
        self._beat = self._loop.call_later(BEAT_S, self._look)

    def _deny(self, message: Message) -> None:
        """Answer with a response in place of a WebSocket (the denial extension of ASGI)."""
        if message["type"] == "websocket.http.response.start":
            self._denial = {**message, "body": b""}
            return
        denial = cast("Message", self._denial)
        denial["body"] += message.get("body", b"")
        if message.get("more_body", False):
            return
        answer = web.Response(status=denial["status"], body=denial["body"])
        for name, value in denial.get("headers", ()):
            if name.lower() != b"content-length":  # aiohttp counts
                answer.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        answer.headers.setdefault(hdrs.SERVER, SERVER_NAME)
        self.answer, self.ended = answer, (ABNORMAL, "")

    @property
    def _connection(self) -> Connection:
        return cast("Connection", self.bounded.protocol)

    def _look(self) -> None:
        """See whether the client is there and reads, and what it says if nobody else listens."""
        self._beat = None
        if self.frames is None or self.frames.closed or self.bounded.transport is None:
            return
        connection, now = self._connection, self._loop.time()
        silent = now - connection.heard_at
        stalled = connection.stalled_at
        if stalled is not None and now - stalled > SEND_S:
            self.drop()
            return
        if self.bounded.transport.is_reading():  # otherwise the client has sent more than is read
            if silent > 2 * PING_S:
                self.drop()
                return
            if silent > PING_S and stalled is None:
                self._spawn(self.frames.ping())
        if self._ahead is None and not self._receiving and self.ended is None:
            self._ahead = self._loop.create_task(self._look_ahead(self.frames))
            self._ahead.add_done_callback(self._saw)
        self._beat = self._loop.call_later(BEAT_S, self._look)

    async def _look_ahead(self, frames: web.WebSocketResponse) -> WSMessage:
        found = await frames.receive()
        if found.type is WSMsgType.CLOSE:
            await self._answer_close(found)
        return found

    async def _answer_close(self, found: WSMessage) -> None:
        """Close with the client's own code, so that it sees that one (RFC 6455 section 5.5.1)."""
        self._note_end(found)
        with suppress(ConnectionError):
            await cast("web.WebSocketResponse", self.frames).close(
                code=found.data or 1000, drain=False
            )

    def _saw(self, ahead: asyncio.Task[WSMessage]) -> None:
        """Know of an end before the function asks."""
        if not ahead.cancelled() and ahead.exception() is None:
            found = ahead.result()
            if found.type is not WSMsgType.TEXT and found.type is not WSMsgType.BINARY:
                self._note_end(found)

    def _spawn(self, work: Any) -> None:
        async def run() -> None:
            with suppress(ConnectionError):
                await work

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class DirectWebSocket(WebSocket):
    """Starlette's, with a shorter way for what is done most: texts and bytes."""

    def __init__(self, session: SocketSession) -> None:
        super().__init__(session.scope, session.receive, session.send)
        self._session = session

    async def receive_text(self) -> str:
        """The next text.

        Raises:
            WebSocketDisconnect: the client has closed, or has left.
        """
        session = self._session
        if session.open:
            found = await session.next_frame()
            if found.type is WSMsgType.TEXT:
                return cast("str", found.data)
            if found.type is WSMsgType.BINARY:
                msg = "bytes came where receive_text() waits for text; use receive_bytes()"
                raise RuntimeError(msg)
        return await super().receive_text()

    async def receive_bytes(self) -> bytes:
        """The next bytes.

        Raises:
            WebSocketDisconnect: the client has closed, or has left.
        """
        session = self._session
        if session.open:
            found = await session.next_frame()
            if found.type is WSMsgType.BINARY:
                return bytes(found.data)
            if found.type is WSMsgType.TEXT:
                msg = "text came where receive_bytes() waits for bytes; use receive_text()"
                raise RuntimeError(msg)
        return await super().receive_bytes()

    async def send_text(self, data: str) -> None:
        """Send text; waits while the client does not read.

        Raises:
            WebSocketDisconnect: the client has left.
        """
        session = self._session
        frames = session.frames
        if frames is not None and session.ended is None:
            try:
                await frames.send_str(data)
            except ConnectionError:
                session.lose()
            else:
                return
        await super().send_text(data)


def fits_handshake(bounded: BoundedRequest) -> bool:
    """Whether a request asks for a WebSocket as RFC 6455 has it."""
    return web.WebSocketResponse().can_prepare(_without_protocols(bounded)).ok


def reason_bytes(reason: str) -> bytes:
    """A reason as it can be sent: whole characters, of `REASON` bytes at most."""
    return reason.encode(errors="replace")[:REASON].decode(errors="ignore").encode()


def _without_protocols(bounded: BoundedRequest) -> BoundedRequest:
    """The request without the subprotocols that it offers: aiohttp warns where none is chosen."""
    if hdrs.SEC_WEBSOCKET_PROTOCOL not in bounded.headers:
        return bounded
    headers = bounded.headers.copy()
    del headers[hdrs.SEC_WEBSOCKET_PROTOCOL]
    return bounded.clone(headers=headers)


def socket_scope(bounded: BoundedRequest, values: Mapping[str, str]) -> Scope:
    """The scope of a WebSocket (asgi.readthedocs.io, WebSocket 2.4)."""
    found = scope_of(bounded, values)
    del found["method"]
    said = bounded.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
    return {
        **found,
        "type": "websocket",
        "scheme": "wss" if found["scheme"] == "https" else "ws",
        "subprotocols": [one.strip() for line in said for one in line.split(",") if one.strip()],
        "extensions": {"websocket.http.response": {}},
    }
