"""Files of Cloud Storage for load jobs, from the front of the same local cloud.

Source: Cloud Storage JSON API v1, Objects; BigQuery documentation, "Batch loading data", wildcards.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from buildflow_nb.local_cloud.bigquery.refusal import RefusedError, invalid, not_found, not_served

__all__ = ("CloudFiles",)

CALL_S = 30.0  # for an answer to begin
NOT_FOUND = 404
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CloudFiles:
    """Fetches `gs://` files, where there is a Cloud Storage at `port`."""

    def __init__(self, port: int | None, scratch: Callable[[], Path]) -> None:
        self._base = f"http://127.0.0.1:{port}/storage/v1/b" if port is not None else ""
        self._scratch = scratch

    def fetch(self, uris: Sequence[str]) -> list[Path]:
        """The files that URIs name, as files here; remove them.

        Raises:
            RefusedError: they are not there, or cannot be had.
        """
        fetched: list[Path] = []
        try:
            for uri in uris:
                for bucket, name in self._named(uri):
                    fetched.append(self._scratch())
                    self._save(bucket, name, fetched[-1])
        except BaseException:
            for file in fetched:
                file.unlink(missing_ok=True)
            raise
        if not fetched:
            what = f"URI {', '.join(uris) or '(none is given)'}"
            raise not_found(what)
        return fetched

    def _named(self, uri: str) -> Iterator[tuple[str, str]]:
        scheme, _, rest = uri.partition("://")
        bucket, _, name = rest.partition("/")
        if scheme != "gs" or not bucket or not name:
            msg = f"{uri} is no URI of Cloud Storage, like gs://bucket/file"
            raise invalid(msg)
        if not self._base:
            what = "gs:// files, since there is no Cloud Storage beside it"
            raise not_served(what)
        if "*" not in name:
            yield bucket, name
            return
        query = {"prefix": name.partition("*")[0]}
        while True:
            page = json.loads(self._open(f"{quote(bucket, safe='')}/o?{urlencode(query)}").read())
            for each in page.get("items", ()):
                if fnmatchcase(each["name"], name):
                    yield bucket, each["name"]
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _save(self, bucket: str, name: str, file: Path) -> None:
        path = f"{quote(bucket, safe='')}/o/{quote(name, safe='')}?alt=media"
        with self._open(path, f"gs://{bucket}/{name}") as answer, file.open("wb") as out:
            shutil.copyfileobj(answer, out)

    def _open(self, path: str, uri: str = "") -> Any:
        try:
            return _DIRECT.open(f"{self._base}/{path}", timeout=CALL_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == NOT_FOUND:
                what = f"URI {uri or path}"
                raise not_found(what) from error
            msg = f"Cloud Storage answers {error.code} for {uri or path}"
            raise RefusedError(400, "invalid", msg) from error
        except OSError as error:
            msg = f"Cloud Storage cannot be reached: {error}"
            raise RefusedError(503, "backendError", msg) from error
