"""An answer whose headers are bytes already, sent in one write where nothing is special about it.

It is an answer of aiohttp's all the same, and becomes one in full once something of it is asked for
that only that knows, or is changed.
"""

from __future__ import annotations

import time
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from aiohttp import HttpVersion11, hdrs, web

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.http.response import BODYLESS, ONE_WRITE, SERVER_NAME, http_date

__all__ = ("RawAnswer",)

_SPECIAL = (b"connection", b"content-length", b"date", b"transfer-encoding")  # aiohttp's to say
_SERVER = b"server"

Raw = list[tuple[bytes, bytes]]


class RawAnswer(web.Response):
    """Status, headers (names in small letters, no Content-Length) and body."""

    def __init__(self, status: int, raw: Raw, body: bytes) -> None:
        """Make it.

        Raises:
            ConversionError: a header has a line break in it, and would be two.
        """
        self._status = status
        self._body = body
        self._raw = raw
        self._lines = b"".join([b"%s: %s\r\n" % header for header in raw])
        if self._lines.count(b"\n") != len(raw) or self._lines.count(b"\r") != len(raw):
            msg = "a header of the response has a line break in it; take it out"
            raise ConversionError(msg)

    def __getattr__(self, name: str) -> Any:
        """Whatever aiohttp's own constructor sets, once it is asked for."""
        if name.startswith("__") or "_headers" in self.__dict__:
            raise AttributeError(name)
        keep_alive = self._keep_alive
        super().__init__(body=cast("bytes", self._body), status=self._status)
        self._keep_alive = keep_alive
        for found, value in self._raw:
            self.headers.add(found.decode("latin-1"), value.decode("latin-1"))
        self.headers.setdefault(hdrs.SERVER, SERVER_NAME)
        return getattr(self, name)

    @property
    def raw(self) -> Raw | None:
        """Its headers with their length; None where somebody may have changed them."""
        if "_headers" in self.__dict__ or self._keep_alive is False:
            return None
        return [(b"content-length", b"%d" % len(cast("bytes", self._body))), *self._raw]

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send, or begin to."""
        transport = request.transport
        if transport is None or not self._is_plain(request):
            return await super().prepare(request)
        sent = self._head() + cast("bytes", self._body)
        transport.write(sent)
        request.writer.output_size += len(sent)
        self._keep_alive = self._eof_sent = True
        return None

    def _is_plain(self, request: web.BaseRequest) -> bool:
        """Whether nothing is special about it and the request, and nobody has changed it."""
        return (
            "_headers" not in self.__dict__
            and self._keep_alive is not False
            and request.keep_alive
            and request.version == HttpVersion11
            and request.method != hdrs.METH_HEAD
            and self._status >= HTTPStatus.OK
            and self._status not in BODYLESS
            and len(cast("bytes", self._body)) <= ONE_WRITE
            and not self._eof_sent
            and not any(name in _SPECIAL for name, _ in self._raw)
        )

    def _head(self) -> bytes:
        served = any(name == _SERVER for name, _ in self._raw)
        return b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\nDate: %s\r\n\r\n" % (
            _status_line(self._status),
            self._lines,
            b"" if served else b"Server: buildflow\r\n",
            len(cast("bytes", self._body)),
            http_date(int(time.time())),
        )


@cache
def _status_line(status: int) -> bytes:
    try:
        return f"{status} {HTTPStatus(status).phrase}".encode()
    except ValueError:  # a status of somebody's own
        return f"{status} ".encode()
