"""Forms as bodies, with files: parsed by starlette, bounded here.

A form is read piece by piece. Its fields stay in memory; a file does until it is longer than a
mebibyte, and all of them go to disk when the form holds more than `FORM_MEMORY`. Bytes in memory
are counted like those of other bodies. Every file is closed at the end of the call. The name of a
file is what follows the last separator of what the client said: it is never a path (RFC 7578
section 4.2).

Importing this imports starlette.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from aiohttp import hdrs
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request, cookie_parser

from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.request import BODY_LIMIT, FORM_TYPE, BoundedRequest, too_long

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.asgi import AsgiConnection

__all__ = (
    "MANY",
    "PART_LIMIT",
    "UPLOAD_LIMIT",
    "FormReading",
    "as_files",
    "bare_name",
    "cookies_of",
    "fields_of",
)

UPLOAD_LIMIT = 2 * 2**30  # bytes of one form with its files
FORM_MEMORY = 8 * 2**20  # bytes of a form in memory before its files go to disk
MANY = 1000  # fields, and files, of a form: starlette's own limit
PART_LIMIT = 2**20  # bytes of a field
_MULTIPART = "multipart/form-data"
_DRIVE = re.compile(r"^[A-Za-z]:")


class FormReading:
    """What `request.form()` gives: awaited, or entered to have the files closed at its end."""

    def __init__(
        self,
        request: Request,
        connection: AsgiConnection,
        *,
        max_files: float = MANY,
        max_fields: float = MANY,
        max_part_size: int = PART_LIMIT,
    ) -> None:
        self._request = request
        self._connection = connection
        self._bounded = connection.bounded
        self._limits: dict[str, Any] = {
            "max_fields": max_fields,
            "max_part_size": max_part_size,
        }
        self._max_files = max_files
        self._parser: _Parser | None = None
        self._limit = UPLOAD_LIMIT
        self._held = 0

    def __await__(self) -> Generator[Any, None, FormData]:
        return self._read().__await__()

    async def __aenter__(self) -> FormData:
        return await self._read()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    async def _read(self) -> FormData:
        """The form, which is parsed once for a call."""
        if self._connection.form is None:
            self._connection.form = await self._parse()
        return self._connection.form

    async def _parse(self) -> FormData:
        headers = self._request.headers
        said = headers.get("content-type", "").partition(";")[0].strip().lower()
        if said not in (_MULTIPART, FORM_TYPE):
            return FormData()
        self._limit = UPLOAD_LIMIT if said == _MULTIPART else BODY_LIMIT
        length = self._bounded.headers.get(hdrs.CONTENT_LENGTH)
        if length is not None and int(length) > self._limit:
            raise too_long(self._limit)
        try:
            async with aclosing(self._pieces()) as pieces:
                form = await self._parsed(said, headers, pieces)
        except MultiPartException as error:
            raise HttpError(400, f"the form is broken: {error.message}", close=True) from error
        except (ValueError, RecursionError) as error:  # a charset may raise anything of these
            raise HttpError(400, f"the form is broken: {error}", close=True) from error
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            msg = f"the files of the form cannot be kept: {error.strerror}"
            raise HttpError(503, msg, {"Retry-After": "5"}, close=True) from error
        for _, value in form.multi_items():
            if isinstance(value, UploadFile) and value.filename is not None:
                value.filename = bare_name(value.filename)
        return form

    async def _parsed(
        self, said: str, headers: Headers, pieces: AsyncGenerator[bytes, None]
    ) -> FormData:
        if said == FORM_TYPE:
            return await FormParser(headers, pieces, **self._limits).parse()
        parser = self._parser = _Parser(headers, pieces, max_files=self._max_files, **self._limits)
        return await parser.parse()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        size, bodies = 0, self._bounded.bodies
        async with aclosing(self._request.stream()) as stream:
            async for piece in stream:
                size += len(piece)
                if size > self._limit:
                    raise too_long(self._limit)
                if self._parser is not None and self._held + len(piece) > FORM_MEMORY:
                    await self._to_disk(self._parser)
                bodies.add(self._bounded, len(piece))
                self._held += len(piece)
                yield piece
        if self._parser is not None and not self._parser.ended:
            msg = "its end is missing"
            raise MultiPartException(msg)  # in here, where the parser closes what it has opened

    async def _to_disk(self, parser: MultiPartParser) -> None:
        """Let the files that have come whole leave the memory."""
        kept = parser.spool_max_size  # of the file that is coming
        for _, value in parser.items:
            if isinstance(value, UploadFile):
                await run_in_threadpool(cast("Any", value.file).rollover)
            else:
                kept += len(value)
        if kept > BODY_LIMIT:
            msg = f"the fields of the form are longer than {BODY_LIMIT} bytes; send files"
            raise HttpError(413, msg, close=True)
        kept = min(kept, self._held)
        self._bounded.bodies.give_back(self._bounded, self._held - kept)
        self._held = kept


class _Parser(MultiPartParser):
    """Starlette's, which tells whether the form came to its end."""

    ended = False

    def on_end(self) -> None:
        super().on_end()
        self.ended = True


def bare_name(name: str) -> str:
    """The name of a file without the folders, drives and control characters that were sent."""
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(one for one in name if unicodedata.category(one)[0] != "C")
    name = _DRIVE.sub("", name)
    return "" if name in (".", "..") else name


async def fields_of(
    request: Request, bounded: BoundedRequest, read: set[str]
) -> Mapping[str, Sequence[object]]:
    """The values of a form by name; files of the names in `read` as what is in them.

    Raises:
        HttpError: the form is too long, too slow or broken, or there is no room for it.
        ConnectionResetError: the client has left.
    """
    try:
        form = await request.form()
    except ClientDisconnect as error:
        msg = "the client has left"
        raise ConnectionResetError(msg) from error
    found: dict[str, list[object]] = {}
    for name, value in form.multi_items():
        kept: object = value
        if isinstance(value, UploadFile) and not value.filename and not value.size:
            continue  # an input that was left empty
        if isinstance(value, UploadFile) and name in read:
            size = value.size or 0
            if size > BODY_LIMIT:
                msg = f"the file {name!r} is longer than {BODY_LIMIT} bytes"
                raise HttpError(413, msg, close=True)
            bounded.bodies.add(bounded, size)
            kept = await value.read()
        found.setdefault(name, []).append(kept)
    return found


def cookies_of(bounded: BoundedRequest) -> dict[str, str]:
    """The cookies of a request, read as browsers write them."""
    found: dict[str, str] = {}
    for header in bounded.headers.getall(hdrs.COOKIE, ()):
        found.update(cookie_parser(header))
    return found


def as_files(value: object, *, as_bytes: bool, listed: bool) -> object:
    """What somebody gives for a file of a form: itself, bytes, or a path to read.

    Raises:
        UsageError: it is something else, or cannot be read.
    """
    if listed:
        several = value if isinstance(value, (list, tuple)) else [value]
        return [as_files(one, as_bytes=as_bytes, listed=False) for one in several]
    name = ""
    if isinstance(value, Path):
        name = value.name
        try:
            value = value.read_bytes()
        except OSError as error:
            msg = f"{name!r} cannot be read: {error.strerror}"
            raise UsageError(msg) from error
    if value is None or isinstance(value, UploadFile):
        return value
    if not isinstance(value, bytes):
        msg = f"a file is given as bytes, a pathlib.Path or UploadFile, not {type(value).__name__}"
        raise UsageError(msg)
    return value if as_bytes else UploadFile(io.BytesIO(value), size=len(value), filename=name)
