"""The objects of a Cloud Storage bucket, listed and read, and nothing written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from buildflow_nb.core.errors import AbsentError
from buildflow_nb.io.bucket_look import Listed, Page
from buildflow_nb.io.gcp.errors import Target

__all__ = ("GCSLister",)

LIST_ROLE = READ_ROLE = "roles/storage.objectViewer"
CALL_S = 10.0  # for an answer
FETCH_S = 60.0  # without a byte


class GCSLister:
    """The bucket `target`, through the client that `connect` gives; a `BucketLister`."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def page(self, prefix: str, token: str, most: int, *, deep: bool) -> Page:
        """One call's list."""
        with self._target.faults(LIST_ROLE):
            found = self._connect().list_blobs(
                self._target.name,
                prefix=prefix or None,
                delimiter=None if deep else "/",
                page_token=token or None,
                page_size=most,
                timeout=CALL_S,
                retry=None,
            )
            blobs = list(next(found.pages, ()))
        objects = [Listed(one.name, int(one.size or 0), one.updated) for one in blobs]
        return Page(sorted(found.prefixes), objects, str(found.next_page_token or ""))

    def size_of(self, key: str) -> int:
        """The object's bytes."""
        with self._object(key):
            blob = self._blob(key)
            blob.reload(timeout=CALL_S, retry=None)
        return int(blob.size or 0)

    def read(self, key: str, start: int, length: int) -> bytes:
        """A range of it."""
        with self._object(key):
            body: bytes = self._blob(key).download_as_bytes(
                start=start, end=start + length - 1, timeout=CALL_S, retry=None, checksum=None
            )
        return body

    def fetch(self, key: str, take: Callable[[bytes], object]) -> None:
        """All of it, in one request; its checksum is compared at the end."""
        with self._object(key):
            self._blob(key).download_to_file(_Taking(take), timeout=FETCH_S, retry=None)

    def _blob(self, key: str) -> Any:
        return self._connect().bucket(self._target.name).blob(key)

    @contextmanager
    def _object(self, key: str) -> Iterator[None]:
        from google.api_core.exceptions import NotFound

        with self._target.faults(READ_ROLE):
            try:
                yield
            except NotFound as error:
                msg = f"{self._target} has no object {key!r}; it may be gone"
                raise AbsentError(msg) from error


class _Taking(io.RawIOBase):
    """A file that hands on what is written to it."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        super().__init__()
        self._take = take
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        self._take(bytes(data))
        self._at += len(data)
        return len(data)
