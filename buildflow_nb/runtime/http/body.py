"""Reads a request's body: bounded in size and time, in UTF-8, before any user code runs.

A body that says it is too long is refused before a byte of it is read; one that turns out to be
is refused at the limit. The client gets its 413 either way: what it still sends is read and thrown
away for a while, so that it comes to read the answer (aiohttp's lingering close).
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from buildflow_nb.runtime.http.fault import HttpFault, details

__all__ = ("BODY_LIMIT", "BODY_S", "body_at_hand", "form_fields", "in_utf8", "read_body")

BODY_LIMIT = 16 * 1024 * 1024  # bytes; a hundred of them at once still fit into memory
BODY_S = 300.0  # seconds for a body to arrive: 16 MiB over half a megabit a second
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
_BOM = b"\xef\xbb\xbf"


def body_at_hand(request: web.BaseRequest) -> bytes | None:
    """The body, if all of it came with the head; None where it must be read.

    It is taken out of the request, which then reads as empty.
    """
    content = request.content
    if not content.is_eof() or content.exception() is not None:
        return None
    body = content.read_nowait()
    if len(body) > request.client_max_size:
        raise _too_long(request.client_max_size)
    return body


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body; the request keeps it, to be read again.

    Raises:
        HttpFault: it is too long, too slow or broken.
    """
    if not request.body_exists:
        return b""
    limit = request.client_max_size
    length = request.headers.get(hdrs.CONTENT_LENGTH)
    if length is not None and int(length) > limit:
        raise _too_long(limit)
    try:
        if request.content.is_eof():
            return await request.read()
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # an interim answer does not count as the answer
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_long(limit) from error
    except TimeoutError as error:
        raise HttpFault(408, "the body took too long to arrive", close=True) from error
    except (web.RequestPayloadError, ValueError) as error:
        raise HttpFault(400, "the body is broken: it cannot be decoded", close=True) from error


def _too_long(limit: int) -> HttpFault:
    return HttpFault(413, f"the body is longer than {limit} bytes", close=True)


def in_utf8(request: web.BaseRequest, body: bytes) -> bytes:
    """The body in UTF-8 without a byte order mark, whatever charset its content type names.

    Raises:
        HttpFault: it is not in that charset, or it is multipart.
    """
    named = request.headers.get(hdrs.CONTENT_TYPE, JSON_TYPE)
    if named == JSON_TYPE and not body.startswith(_BOM):
        return body
    if request.content_type.startswith("multipart/"):
        msg = "multipart bodies are not read here; send JSON or an urlencoded form"
        raise HttpFault(415, msg)
    charset = (request.charset or "utf-8").lower()
    if charset in ("utf-8", "utf8", "us-ascii", "ascii"):
        return body.removeprefix(_BOM)
    try:
        return body.decode(charset).encode()
    except LookupError as error:
        raise HttpFault(415, f"charset {charset!r} is not known; send UTF-8") from error
    except UnicodeError as error:
        raise HttpFault(422, details(error, ["body"])) from error


def form_fields(request: web.BaseRequest, body: bytes) -> dict[str, list[str]] | None:
    """The fields of an urlencoded form; None where the body is something else.

    Raises:
        HttpFault: the form is no text, or has too many fields.
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
        raise HttpFault(422, details(error, ["body"])) from error
