"""Files that come with a load job: in one request of several parts, or in pieces.

Source: BigQuery documentation, "Loading data from a local data source", on multipart and resumable
uploads; the latter as in Cloud Storage's JSON API, "Perform resumable uploads".
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from buildflow_nb.core.project_folder import make_private
from buildflow_nb.local_cloud.bigquery.refusal import RefusedError, invalid, not_found

__all__ = ("Upload", "Uploads")

MOST = 100  # begun and not over; the oldest is given up
MOST_METADATA = 1 << 20
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(slots=True)
class Upload:
    """A file that is on its way, and the job that it is for."""

    job: Mapping[str, Any]
    file: Path
    size: int = 0


class Uploads:
    """Uploads of one server; used on its loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_private(folder)
        for left in self._folder.iterdir():
            left.unlink()
        self._begun: OrderedDict[str, Upload] = OrderedDict()

    def scratch(self) -> Path:
        """A new empty file; whoever takes it removes it."""
        handle, name = tempfile.mkstemp(dir=self._folder)
        with open(handle, "wb"):  # noqa: PTH123  (closes the handle)
            return Path(name)

    async def multipart(self, request: web.Request) -> Upload:
        """A job and its file in one request.

        Raises:
            RefusedError: it is none.
        """
        if not request.content_type.startswith("multipart/"):
            msg = "an upload of several parts must be multipart/related"
            raise invalid(msg)
        parts = await request.multipart()
        first, second = await parts.next(), None
        if first is not None and hasattr(first, "read"):
            job = _job(bytes(await first.read(decode=False)))
            second = await parts.next()
        if second is None or not hasattr(second, "read_chunk"):
            msg = "an upload has two parts, the job and the file"
            raise invalid(msg)
        upload = Upload(job, self.scratch())
        with upload.file.open("wb") as file:
            while chunk := await second.read_chunk(1 << 18):
                upload.size += file.write(chunk)
        return upload

    async def begin(self, request: web.Request) -> web.Response:
        """Begin an upload in pieces. Raises as `multipart`."""
        upload = Upload(_job(await request.content.read(MOST_METADATA)), self.scratch())
        ident = secrets.token_urlsafe(24)
        self._begun[ident] = upload
        while len(self._begun) > MOST:
            self._begun.popitem(last=False)[1].file.unlink(missing_ok=True)
        where = request.url.with_query(uploadType="resumable", upload_id=ident)
        return web.Response(headers={"Location": str(where), "X-GUploader-UploadID": ident})

    async def go_on(self, request: web.Request, ident: str) -> Upload | web.Response:
        """Take a piece; gives the upload when it was the last.

        Raises:
            RefusedError: there is no such upload, or the piece does not follow.
        """
        upload = self._begun.get(ident)
        if upload is None:
            what = f"Upload {ident}"
            raise not_found(what)
        span = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if span is not None and span[1] is not None and int(span[1]) != upload.size:
            if int(span[1]) > upload.size:
                return _incomplete(upload)
            with upload.file.open("r+b") as file:  # a piece that is sent again
                file.truncate(int(span[1]))
            upload.size = int(span[1])
        with upload.file.open("ab") as file:
            async for chunk in request.content.iter_chunked(1 << 18):
                upload.size += file.write(chunk)
        if span is not None and (span[3] == "*" or int(span[3]) > upload.size):
            return _incomplete(upload)
        if span is not None and int(span[3]) != upload.size:
            msg = f"the upload has {upload.size} bytes, and said {span[3]}"
            raise RefusedError(400, "invalid", msg)
        del self._begun[ident]
        return upload


def _incomplete(upload: Upload) -> web.Response:
    headers = {"Range": f"bytes=0-{upload.size - 1}"} if upload.size else {}
    return web.Response(status=308, headers=headers)


def _job(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        msg = f"the job of an upload is no JSON: {error}"
        raise invalid(msg) from error
    if not isinstance(found, dict):
        msg = "the job of an upload is no JSON object"
        raise invalid(msg)
    return found
