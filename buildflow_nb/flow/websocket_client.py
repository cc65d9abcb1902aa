"""A WebSocket of a running flow, from the next cell: blocking, as the client's other calls are.

    with app.client().chat(room="a") as ws:
        ws.send({"text": "hello"})     # text and bytes as they are, all else as JSON
        ws.receive(timeout=5)

It works on the loop thread, and knows nothing of the flow that it calls but the address.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from buildflow_nb.core.conversion.encode import json_bytes
from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.runtime.concurrency.loop import loop_thread

if TYPE_CHECKING:
    import aiohttp

__all__ = ("ClosedError", "SocketClient")

GRACE_S = 5.0  # seconds beyond a call's own deadline
CLOSE_S = 5.0  # seconds for the other side to answer a close
NORMAL, NO_CODE, ABNORMAL = 1000, 1005, 1006  # RFC 6455 section 7.4.1


class ClosedError(BuildFlowError):
    """A WebSocket was closed by the other side; `code` and `reason` are what it said."""

    def __init__(self, message: str, code: int, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class SocketClient:
    """One WebSocket, open inside `with`; `timeout` is for each call, in seconds.

    With `parse` messages of text are JSON. `name` is for errors.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], *, name: str, parse: bool, timeout: float
    ) -> None:
        self._url = url
        self._headers = headers
        self._name = name
        self._parse = parse
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._end: tuple[int, str] | None = None  # what the other side closed with

    def __enter__(self) -> Self:
        """Open it.

        Raises:
            AnswerError: the route turned it away.
            UsageError: the flow does not answer.
            TimeoutError: it did not in time.
        """
        loop_thread().run(self._open(), self._timeout + GRACE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __iter__(self) -> Iterator[Any]:
        """Every message until the other side closes.

        Raises:
            ClosedError: with another code than 1000.
        """
        while True:
            try:
                yield self.receive()
            except ClosedError as end:
                if end.code != NORMAL:
                    raise
                return

    def send(self, message: Any) -> None:
        """Send text or bytes as they are, all else as JSON.

        Raises:
            ClosedError: it is closed.
            ConversionError: it has no JSON form.
        """
        data = message if isinstance(message, (str, bytes)) else json_bytes(message).decode()
        loop_thread().run(self._send(data), self._timeout)

    def receive(self, timeout: float | None = None) -> Any:
        """The next message.

        Raises:
            ClosedError: it is closed.
            TimeoutError: none came in time.
        """
        seconds = self._timeout if timeout is None else timeout
        found = loop_thread().run(self._receive(seconds), seconds + GRACE_S)
        return json.loads(found) if self._parse and isinstance(found, str) else found

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it, if it is open."""
        if self._session is not None:
            loop_thread().run(self._close(code, reason), CLOSE_S + GRACE_S)

    async def _open(self) -> None:
        import aiohttp

        from buildflow_nb.flow.client import AnswerError

        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(
                self._url,
                headers=self._headers,
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            await self._session.close()
            msg = f"{self._name} answered {error.status}: no WebSocket was opened"
            raise AnswerError(msg, error.status, None) from error
        except (aiohttp.ClientError, OSError) as error:
            await self._session.close()
            msg = f"{self._name}: {self._url} does not answer: {error}"
            raise UsageError(msg) from error

    def _opened(self) -> aiohttp.ClientWebSocketResponse:
        if self._socket is None:
            msg = f"{self._name} is not open; write `with ... as ws:`"
            raise UsageError(msg)
        return self._socket

    async def _send(self, data: str | bytes) -> None:
        socket = self._opened()
        if socket.closed:
            raise self._ended(socket, "")
        try:
            await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
        except ConnectionError as error:
            raise self._ended(socket, str(error)) from error

    async def _receive(self, seconds: float) -> str | bytes:
        import aiohttp

        socket = self._opened()
        try:
            found = await socket.receive(seconds)
        except TimeoutError as error:
            msg = f"{self._name}: no message within {seconds:g} s"
            raise TimeoutError(msg) from error
        if found.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = found.data
            return data
        if found.type is aiohttp.WSMsgType.CLOSE:
            self._end = (found.data or NO_CODE, str(found.extra or ""))
        raise self._ended(socket, "")

    def _ended(self, socket: aiohttp.ClientWebSocketResponse, reason: str) -> ClosedError:
        code, reason = self._end or (socket.close_code or ABNORMAL, reason)
        msg = f"{self._name} was closed with {code}" + (f": {reason}" if reason else "")
        return ClosedError(msg, code, reason)

    async def _close(self, code: int, reason: str) -> None:
        session, self._session = self._session, None
        if self._socket is not None:
            await self._socket.close(code=code, message=reason.encode())
        if session is not None:
            await session.close()
