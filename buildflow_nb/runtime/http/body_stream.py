"""A body in pieces, as they come: a gigabyte goes through in the memory of two reads.

A piece is read only when somebody asks for it, and aiohttp stops receiving meanwhile, so a slow
reader slows its client. Packed bodies come unpacked, piece by piece. There is no limit of size
here: whoever keeps pieces counts them. A client that sends nothing for `IDLE_S` is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from buildflow_nb.runtime.http.encoding import Unpacker, coding_of
from buildflow_nb.runtime.http.errors import HttpError

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.request import BoundedRequest

__all__ = ("BROKEN_BODY", "IDLE_S", "BodyStream", "invite")

IDLE_S = 60.0  # seconds without a byte: a line that is merely slow brings some
BROKEN_BODY = (web.RequestPayloadError, HttpProcessingError, ValueError)
"""What aiohttp raises over a body that does not hold to HTTP."""


class BodyStream:
    """The pieces of one request's body, each given once."""

    def __init__(self, request: BoundedRequest) -> None:
        self._request = request
        self._waiting: Iterator[bytes] = iter(())  # pieces of what has been received
        self._received_all = False
        self._unpacker: Unpacker | None = None
        self.begun = False
        self.ended = False
        """Whether the last piece has been given."""

    async def piece(self) -> bytes:
        """The next piece; the one that is empty is the end.

        Raises:
            HttpError: the body is broken, too slow, or packed in a way that is not known.
            ConnectionError: the client has left.
        """
        self.begun = True
        while not self.ended:
            try:
                for found in self._waiting:
                    if found:
                        self.ended = self._received_all and self._unpacker is None
                        return found
            except ValueError as error:
                msg = f"the body is broken: it does not unpack, {error}"
                raise HttpError(400, msg, close=True) from error
            if self._received_all:
                self.ended = True
            else:
                await self._receive()
        return b""

    async def _receive(self) -> None:
        request = self._request
        whole = request.body_at_hand
        if whole is not None:
            self._received_all, self._waiting = True, iter((whole,))
            return
        if self._unpacker is None and hdrs.CONTENT_ENCODING in request.headers:
            coding = coding_of(request.headers.getall(hdrs.CONTENT_ENCODING))
            self._unpacker = None if coding is None else Unpacker(coding)
        received = await self._read(request)
        self._received_all = not received or request.content.at_eof()
        unpacker = self._unpacker
        if unpacker is None:
            self._waiting = iter((received,))
        elif request.body_exists:
            last = unpacker.end() if self._received_all else ()
            self._waiting = chain(unpacker.feed(received), last)

    @staticmethod
    async def _read(request: BoundedRequest) -> bytes:
        content = request.content
        try:
            if content.is_eof() and content.exception() is None:
                return content.read_nowait()
            if at_hand := content.read_nowait():
                return at_hand
            async with request.while_reading():
                await invite(request)
                async with asyncio.timeout(IDLE_S):
                    return await content.readany()
        except TimeoutError as error:
            msg = f"nothing of the body arrived for {IDLE_S:g} s"
            raise HttpError(408, msg, close=True) from error
        except BROKEN_BODY as error:
            msg = "the body is broken: it cannot be decoded"
            raise HttpError(400, msg, close=True) from error


async def invite(request: BoundedRequest) -> None:
    """Let a client that asks first send its body, once (RFC 9110 section 10.1.1)."""
    if request.invited or request.content.is_eof():
        return
    request.invited = True
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # an interim answer does not count as the answer
