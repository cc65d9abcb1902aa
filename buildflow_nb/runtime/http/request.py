"""A request whose body is bounded in size and time, unpacked and whole, before user code sees it.

A body that says it is too long is refused before a byte of it is read; one that turns out to be,
packed or unpacked, is refused at the limit, and nothing more of it is unpacked. The client gets its
413 either way: what it still sends is read and thrown away for a while, so that it comes to read
the answer. All requests of a server share the bytes that `Held` counts, from the first one that is
read until the answer: whoever waits in line holds a body as well as whoever is served. What aiohttp
has received and nobody has read yet is not counted: it stops receiving at `READ_AHEAD` for each
connection.

People annotate `aiohttp.web.Request`, and this is one: `read()` and all that stands on it (`text`,
`json`, `post`) are bounded and counted, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import parse_qs

from aiohttp import StreamReader, hdrs, web

from buildflow_nb.runtime.http.body_stream import BROKEN_BODY, IDLE_S, invite
from buildflow_nb.runtime.http.encoding import coding_of, unpacked_pieces
from buildflow_nb.runtime.http.errors import HttpError, details
from buildflow_nb.runtime.http.response import BROKEN

if TYPE_CHECKING:
    from aiohttp.typedefs import RawHeaders

    from buildflow_nb.runtime.http.asgi import AsgiConnection
    from buildflow_nb.runtime.http.concurrency_limit import ConcurrencyLimit
    from buildflow_nb.runtime.http.websocket import SocketSession
    from buildflow_nb.runtime.observability.visits import Visit

__all__ = (
    "BODY_LIMIT",
    "BODY_S",
    "HELD_LIMIT",
    "READ_AHEAD",
    "BoundedRequest",
    "Held",
    "form_fields",
    "in_utf8",
    "too_long",
)

BODY_LIMIT = 16 * 2**20  # bytes of one body
BODY_S = 300.0  # seconds for a body to arrive: 16 MiB over half a megabit a second
HELD_LIMIT = 256 * 2**20  # bytes: sixteen of the longest bodies
READ_AHEAD = 64 * 1024  # bytes; aiohttp pauses a connection at twice as many
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
_BOM = b"\xef\xbb\xbf"


class _BodyTaker(Protocol):
    reads_body: bool


class Held:
    """Counts the bytes of bodies that all requests of a server hold; `limit` is in bytes."""

    def __init__(self, limit: int = HELD_LIMIT) -> None:
        self.limit = limit
        self.bytes = 0

    def refuse_full(self, count: int) -> None:
        """Look whether so many more bytes could be held.

        Raises:
            HttpError: they could not: 503.
        """
        if self.bytes + count > self.limit:
            msg = f"busy: requests hold {self.bytes} of {self.limit} bytes; try again in a moment"
            raise HttpError(503, msg, {"Retry-After": "1"}, close=True)

    def add(self, holder: BoundedRequest, count: int) -> None:
        """Hold so many more bytes for a request.

        Raises:
            HttpError: there is no room for them.
        """
        if self.bytes + count > self.limit:
            self.refuse_full(count)
        self.bytes += count
        holder.held += count

    def give_back(self, holder: BoundedRequest, count: int) -> None:
        """Hold so many bytes no more."""
        self.bytes -= count
        holder.held -= count


class BoundedRequest(web.Request):
    """A `web.Request` of a server whose requests share what `bodies` counts."""

    ATTRS = web.Request.ATTRS | {
        "asgi",
        "bodies",
        "form",
        "held",
        "invited",
        "limit",
        "socket",
        "socket_scope",
        "visit",
        "whole",
        "_first",
    }
    bodies: Held
    whole: bytes | None = None
    """The body of a request that was read at one look; other ways of reading it work, too."""
    held = 0
    invited = False  # to send its body
    limit: ConcurrencyLimit | None = None
    """Where its function has a place, while it has one that waiting for the body gives away."""
    visit: Visit | None = None
    """What is noted of it while its route answers it."""
    form: Mapping[str, Sequence[object]] = {}
    asgi: AsgiConnection | None = None
    """What an ASGI application sees of it, once one does."""
    socket: SocketSession | None = None
    """The WebSocket that it asks for, while one is served."""
    socket_scope: MutableMapping[str, Any] | None = None
    """What middleware has made of that one's scope."""
    _first: BoundedRequest | None = None  # what it is a clone of: that one is released

    def clone(self, **words: Any) -> BoundedRequest:
        """As aiohttp's; both hold bytes together."""
        made = cast("BoundedRequest", super().clone(**words))
        made.bodies, made._first = self.bodies, self._first or self  # noqa: SLF001  (its own class)
        made.limit = self.limit
        return made

    def _cancel(self, exc: BaseException) -> None:
        """Take note that the client has left; aiohttp calls it when the connection is lost."""
        super()._cancel(exc)
        if self.socket is not None:
            self.socket.lose()
        if self.asgi is not None:
            self.asgi.leave()

    @property
    def answering(self) -> bool:
        """Whether something of an answer was sent over ASGI: no other one can be."""
        return self.asgi is not None and self.asgi.answered

    def its_end(self, error: BaseException) -> BaseException | None:
        """What to raise where an error says no more than that the client has left."""
        if error is self.content.exception():
            return error
        asgi = self.asgi
        if asgi is None or not asgi.gone or not isinstance(error, asgi.signs):
            return None
        return error if isinstance(error, ConnectionError) else ConnectionResetError(str(error))

    @property
    def body_at_hand(self) -> bytes | None:
        """The body, where it has been read and kept; None where it has not."""
        return self._read_bytes

    def let_go(self) -> None:
        """Count its bytes no more; due before what the client still sends is thrown away."""
        self.bodies.bytes -= self.held
        self.held = 0
        asgi, self.asgi = self.asgi, None
        if asgi is not None:
            asgi.forget()

    def at_hand(self) -> bytes | None:
        """The body, if all of it came with the head; None where it must be read.

        It is taken out of the request, which then reads as empty.

        Raises:
            HttpError: it is too long, or there is no room for it.
        """
        body = self.whole
        if body is None:
            content = self.content
            if not content.is_eof() or hdrs.CONTENT_ENCODING in self.headers:
                return None
            if content.exception() is not None:
                return None
            body = content.read_nowait()
        if body:
            self.whole = b""
            if len(body) > self.client_max_size:
                raise too_long(self.client_max_size)
            self.bodies.add(self._first or self, len(body))
        return body

    @property
    def content(self) -> StreamReader:
        """The body as aiohttp reads it."""
        self._unfold()
        return self._payload

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as they were sent."""
        plain = self.headers.items() if self.whole is not None else ()
        return self._message.raw_headers or tuple((n.encode(), v.encode()) for n, v in plain)

    def _unfold(self) -> None:
        """Let a body that was read at one look be read by any of aiohttp's ways."""
        if self.whole:
            self._stream(self.whole)
            self.whole = b""

    def _stream(self, body: bytes) -> None:
        limit = len(body) + 1  # never so full that it would pause the connection
        content = StreamReader(self.protocol, limit, loop=asyncio.get_running_loop())
        content.feed_data(body)
        content.feed_eof()
        self._payload = content

    async def body_for(self, taker: _BodyTaker) -> bytes:
        """The body for a function that takes this request itself, and maybe the body, too.

        Raises:
            HttpError: as `take`.
            ConnectionError: the client has left.
        """
        self._unfold()
        body = await self.read() if taker.reads_body else b""
        await self._unpack()
        return body

    async def read(self) -> bytes:
        """The whole body, which the request keeps, to be read again.

        Raises:
            HttpError: as `take`.
            ConnectionError: the client has left.
        """
        if self._read_bytes is None:
            at_hand = self.at_hand() if self.whole else None
            self._read_bytes = await self.take() if at_hand is None else at_hand
        return self._read_bytes

    async def _unpack(self) -> None:
        """Let a body that is packed read as if it had come plain, by whichever way it is read."""
        if hdrs.CONTENT_ENCODING not in self.headers:
            return
        self._stream(await self.read())

    async def take(self) -> bytes:
        """The whole body, unpacked, taken out of the request.

        Raises:
            HttpError: it is too long, too slow, broken, packed in a way that is not known, or there
                is no room for it.
            ConnectionError: the client has left.
        """
        self._unfold()
        headers = self.headers
        coding = None
        if hdrs.CONTENT_ENCODING in headers:
            coding = coding_of(headers.getall(hdrs.CONTENT_ENCODING))
        length = headers.get(hdrs.CONTENT_LENGTH)
        if not self.body_exists and length is None:
            return b""
        if length is not None:
            if int(length) > self.client_max_size:
                raise too_long(self.client_max_size)
            self.bodies.refuse_full(int(length))
        body = await self._received()
        return body if coding is None else await self._unpacked(body, coding)

    def while_reading(self) -> AbstractAsyncContextManager[None]:
        """What to be in while waiting for more of the body: whoever works goes first."""
        return nullcontext() if self.limit is None else self.limit.while_reading()

    async def _received(self) -> bytes:
        """The body as it was sent."""
        content = self.content
        if content.is_eof():
            return await self._pieces(content)
        async with self.while_reading():
            return await self._pieces(content)

    async def _pieces(self, content: StreamReader) -> bytes:
        holder, now = self._first or self, asyncio.get_running_loop().time
        size, pieces, end = 0, list[bytes](), now() + BODY_S
        try:
            await invite(self)
            async with asyncio.timeout(IDLE_S) as patience:
                while piece := await content.readany():
                    patience.reschedule(min(now() + IDLE_S, end))
                    size += len(piece)
                    if size > self.client_max_size:
                        raise too_long(self.client_max_size)
                    self.bodies.add(holder, len(piece))
                    pieces.append(piece)
        except TimeoutError as error:
            idle = f"nothing of the body arrived for {IDLE_S:g} s"
            said = "the body took too long to arrive" if now() >= end else idle
            raise HttpError(408, said, close=True) from error
        except BROKEN_BODY as error:
            raise HttpError(400, BROKEN, close=True) from error
        return b"".join(pieces)

    async def _unpacked(self, packed: bytes, coding: str) -> bytes:
        """The body as it was before it was packed; other requests are served meanwhile."""
        holder, size, pieces = self._first or self, 0, list[bytes]()
        try:
            for piece in unpacked_pieces(packed, coding):
                size += len(piece)
                if size > self.client_max_size:
                    raise too_long(self.client_max_size)
                self.bodies.add(holder, len(piece))
                pieces.append(piece)
                await asyncio.sleep(0)
        except ValueError as error:
            msg = f"the body is broken: it is not whole {coding}, {error}"
            raise HttpError(400, msg, close=True) from error
        self.bodies.give_back(holder, len(packed))
        return b"".join(pieces)


def too_long(limit: int) -> HttpError:
    """The answer to a body of more than so many bytes."""
    return HttpError(413, f"the body is longer than {limit} bytes", close=True)


def in_utf8(request: web.BaseRequest, body: bytes) -> bytes:
    """The body in UTF-8 without a byte order mark, whatever charset its content type names.

    Raises:
        HttpError: it is not in that charset, or it is multipart.
    """
    named = request.headers.get(hdrs.CONTENT_TYPE, JSON_TYPE)
    if named == JSON_TYPE and not body.startswith(_BOM):
        return body
    if request.content_type.startswith("multipart/"):
        msg = "multipart bodies are not read here; send JSON or an urlencoded form"
        raise HttpError(415, msg)
    charset = (request.charset or "utf-8").lower()
    if charset in ("utf-8", "utf8", "us-ascii", "ascii"):
        return body.removeprefix(_BOM)
    try:
        return body.decode(charset).encode()
    except LookupError as error:
        raise HttpError(415, f"charset {charset!r} is not known; send UTF-8") from error
    except UnicodeError as error:
        raise HttpError(422, details(error, ["body"])) from error


def form_fields(request: web.BaseRequest, body: bytes) -> dict[str, list[str]] | None:
    """The fields of an urlencoded form; None where the body is something else.

    Raises:
        HttpError: the form is no text, or has too many fields.
    """
    if request.content_type != FORM_TYPE:
        return None
    try:
        return parse_qs(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=1000,  # aiohttp's own limit for forms
        )
    except ValueError as error:
        raise HttpError(422, details(error, ["body"])) from error
