"""Names of objects that the emulators could not keep inside their folder are refused.

Both emulators keep an object as a file whose path is its name, and fake-gcs-server follows `..` out
of its folder: an object named `../../.bashrc` would be that file. Cloud Storage allows such names;
here they are refused wherever a request can carry one: in its path, in its query, in the metadata
in its body, alone or as the first part of an upload. Nothing is passed on before it is looked at,
and metadata that cannot be read is refused rather than passed.

Source: Cloud Storage JSON API v1, Objects: insert, compose; "Uploads and downloads".
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from email.message import Message
from typing import TypeAlias
from urllib.parse import unquote

from aiohttp import StreamReader, web

from buildflow_nb.local_cloud.storage.json_body import JSON_BYTES, plain
from buildflow_nb.local_cloud.storage.refusal import invalid, not_here

__all__ = (
    "Body",
    "check_metadata",
    "check_names",
    "check_path",
    "checked_body",
)

SEGMENT_BYTES = 255  # of a file's name, on every file system that matters
SEPARATORS = re.compile(rb"[/\\]")
API = "/storage/v1/"
ESCAPES = (b".", b"..")

Body: TypeAlias = bytes | StreamReader | AsyncIterator[bytes] | None


def check_names(*names: str) -> None:
    """Look at names, of which each may be a whole path.

    Raises:
        RefusedError: one could leave the folder, or is too long for a file.
    """
    for name in names:
        for segment in SEPARATORS.split(name.encode(errors="surrogatepass")):
            if segment in ESCAPES or b"\0" in segment:
                msg = (
                    f"object name {name[:SEGMENT_BYTES]!r}: the local Cloud Storage keeps objects "
                    "as files, so no part between slashes can be '.' or '..'; use another name"
                )
                raise invalid(msg)
            if len(segment) > SEGMENT_BYTES:
                msg = (
                    f"object name {name[:SEGMENT_BYTES]!r}…: the local Cloud Storage keeps objects "
                    f"as files, so a part between slashes has {SEGMENT_BYTES} bytes at most"
                )
                raise invalid(msg)


def check_path(path: str) -> None:
    """Look at the names in a percent-encoded path, which may have a query.

    Raises:
        RefusedError: a name is refused.
    """
    check_names(unquote(path.partition("?")[0], errors="surrogateescape"))


def check_metadata(text: bytes) -> None:
    """Look at the names in metadata: every value of a key `name`, but what users keep there.

    Emulators differ in what they read (Go takes keys in any case, and of two alike the last), so
    all of them count.

    Raises:
        RefusedError: a name is refused, or this is not JSON.
    """
    if not text.strip():
        return
    try:
        check_names(*_names(json.loads(text, object_pairs_hook=tuple)))
    except (ValueError, RecursionError) as error:
        msg = f"the metadata in the body is not JSON: {error}"
        raise invalid(msg) from error


async def checked_body(request: web.Request) -> Body:
    """The body to pass on, once the names in its path, its query and its metadata were looked at.

    Raises:
        RefusedError: a name is refused, or the metadata cannot be read.
    """
    check_path(request.raw_path)
    check_names(*request.query.getall("name", []))
    if not request.can_read_body:
        return None
    if request.content_type == "multipart/form-data":
        msg = "the local Cloud Storage takes no HTML forms; upload by the JSON API"
        raise not_here(msg)
    if request.query.get("uploadType") == "multipart":
        return await _checked_parts(request)
    if _is_metadata(request):
        text = await request.read()
        check_metadata(plain(request, text))
        return text
    return request.content


def _names(value: object) -> Iterator[str]:
    """Names in JSON whose objects are tuples of pairs, so that no key hides another."""
    if isinstance(value, list):
        for one in value:
            yield from _names(one)
    elif isinstance(value, tuple):
        for key, one in value:
            if key.casefold() == "name" and isinstance(one, str):
                yield one
            elif key.casefold() != "metadata":  # the user's own, which names no object
                yield from _names(one)


def _is_metadata(request: web.Request) -> bool:
    """Whether the body is metadata rather than an object's content."""
    query = request.query
    if "upload_id" in query or query.get("uploadType") in ("media", "multipart"):
        return False
    return query.get("uploadType") == "resumable" or request.raw_path.startswith(API)


async def _checked_parts(request: web.Request) -> AsyncIterator[bytes]:
    """A multipart body, of which the first part was looked at; no more than that is held."""
    header = Message()
    header["Content-Type"] = request.headers["Content-Type"]
    boundary = header.get_boundary()
    if boundary is None or "Content-Encoding" in request.headers:
        msg = "a multipart upload needs a boundary, and must not be compressed as a whole"
        raise invalid(msg)
    delimiter = b"--" + boundary.encode()
    head = b""
    while (end := head.find(b"\n" + delimiter, len(delimiter))) < 0:
        if len(head) > JSON_BYTES or request.content.at_eof():
            msg = "a multipart upload begins with the object's metadata, up to 1 MiB"
            raise invalid(msg)
        head += await request.content.readany()
    headers, blank, text = head[:end].partition(b"\r\n\r\n")
    if not (headers.startswith(delimiter) and blank) or b"quoted-printable" in headers.lower():
        msg = "a multipart upload begins with the object's metadata as a part of its own"
        raise invalid(msg)
    check_metadata(text)
    return _again(head, request.content)


async def _again(head: bytes, rest: StreamReader) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest.iter_any():
        yield piece
