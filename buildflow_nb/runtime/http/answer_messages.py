"""Answers of aiohttp's as ASGI messages, for what stands around a route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from aiohttp import Payload, hdrs, web
from starlette.types import Send

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.http.raw_answer import RawAnswer
from buildflow_nb.runtime.http.response import BODYLESS, JsonAnswer

__all__ = ("headers_of", "send_answer")

_JSON = (b"content-type", b"application/json")


async def send_answer(answer: web.StreamResponse, send: Send) -> None:
    """Send an answer of aiohttp's, whose body is at hand, as ASGI messages.

    Raises:
        ConversionError: it is one that writes itself, which middleware cannot see.
    """
    headers, body = headers_of(answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def headers_of(answer: web.StreamResponse) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers, as ASGI has them, and body of an answer of aiohttp's whose body is at hand.

    Raises:
        ConversionError: it is one that writes itself.
    """
    if type(answer) is JsonAnswer and answer.keep_alive is not False:
        whole = bytes(cast("bytes", answer.body))
        return [(b"content-length", b"%d" % len(whole)), _JSON], whole
    if isinstance(answer, RawAnswer) and (raw := answer.raw) is not None:
        return raw, bytes(cast("bytes", answer.body))
    body = answer.body if isinstance(answer, web.Response) else None
    if answer.prepared or not isinstance(answer, web.Response) or isinstance(body, Payload):
        msg = (
            "middleware cannot see an answer of aiohttp's that is written piece by piece; "
            "return a StreamingResponse of buildflow_nb.responses"
        )
        raise ConversionError(msg)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in _all(answer)]
    if answer.keep_alive is False:
        headers.append((b"connection", b"close"))
    return headers, bytes(body or b"")


def _all(answer: web.Response) -> Iterator[tuple[str, str]]:
    """Its headers, with those that aiohttp would add as it sends."""
    yield from answer.headers.items()
    for cookie in answer.cookies.values():
        yield hdrs.SET_COOKIE, cookie.output(header="").strip()
    if hdrs.CONTENT_LENGTH not in answer.headers and answer.status not in BODYLESS:
        yield hdrs.CONTENT_LENGTH, str(answer.content_length or 0)
