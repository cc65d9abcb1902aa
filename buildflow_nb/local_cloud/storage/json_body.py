"""Bodies of requests that are metadata: a JSON object, compressed or not, of bounded size."""

from __future__ import annotations

import json
import zlib

from aiohttp import web

from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.refusal import invalid

__all__ = ("JSON_BYTES", "parse", "plain", "read_json")

JSON_BYTES = 1 << 20  # most of metadata; Cloud Storage's own limits are far below
GZIP = 16 + zlib.MAX_WBITS  # how zlib is told to expect gzip's header


async def read_json(request: web.Request) -> Json:
    """The JSON object that a request carries.

    Raises:
        RefusedError: it is none, or too long.
    """
    return parse(plain(request, await request.read()))


def parse(text: bytes) -> Json:
    """A JSON object; no text at all is an empty one, as clients leave it out.

    Raises:
        RefusedError: it is none.
    """
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        msg = f"the body is not JSON: {error}"
        raise invalid(msg) from error
    if not isinstance(found, dict):
        msg = "the body is not a JSON object"
        raise invalid(msg)
    return found


def plain(request: web.Request, text: bytes) -> bytes:
    """The text of a body, which some clients compress.

    Raises:
        RefusedError: it is not compressed as its header says, or too long.
    """
    if request.headers.get("Content-Encoding") == "gzip":
        text = _unpacked(text)
    if len(text) > JSON_BYTES:
        msg = f"metadata has {JSON_BYTES} bytes at most"
        raise invalid(msg)
    return text


def _unpacked(text: bytes) -> bytes:
    """As much as is needed to see that it is too long; a small body can unpack to any size."""
    unpacking = zlib.decompressobj(GZIP)
    try:
        found = unpacking.decompress(text, JSON_BYTES + 1)
    except zlib.error as error:
        msg = f"the body is not gzip, as its Content-Encoding says: {error}"
        raise invalid(msg) from error
    if not unpacking.eof and len(found) <= JSON_BYTES:
        msg = "the body is not gzip, as its Content-Encoding says: it has no end"
        raise invalid(msg)
    return found
