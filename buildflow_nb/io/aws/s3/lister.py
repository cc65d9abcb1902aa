"""The objects of an S3 bucket, listed and read, and nothing written.

Source: Amazon S3 API Reference, "ListObjectsV2", "HeadObject", "GetObject".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from buildflow_nb.core.errors import AbsentError
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.bucket_look import Listed, Page

__all__ = ("S3Lister",)

CHUNK = 1 << 20  # bytes handed on at once
NO_OBJECT = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Lister:
    """The bucket `target`, through the client that `connect` gives; a `BucketLister`."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def page(self, prefix: str, token: str, most: int, *, deep: bool) -> Page:
        """One call's list."""
        words: dict[str, Any] = {"Bucket": self._target.name, "Prefix": prefix, "MaxKeys": most}
        if token:
            words["ContinuationToken"] = token
        if not deep:
            words["Delimiter"] = "/"
        with self._target.faults("s3:ListBucket"):
            found = self._connect().list_objects_v2(**words)
        objects = [
            Listed(one["Key"], int(one.get("Size", 0)), one.get("LastModified"))
            for one in found.get("Contents") or ()
        ]
        folders = [one["Prefix"] for one in found.get("CommonPrefixes") or ()]
        return Page(folders, objects, str(found.get("NextContinuationToken") or ""))

    def size_of(self, key: str) -> int:
        """The object's bytes."""
        with self._object(key):
            found = self._connect().head_object(Bucket=self._target.name, Key=key)
        return int(found["ContentLength"])

    def read(self, key: str, start: int, length: int) -> bytes:
        """A range of it."""
        where = f"bytes={start}-{start + length - 1}"
        with self._object(key):
            found = self._connect().get_object(Bucket=self._target.name, Key=key, Range=where)
            body: bytes = found["Body"].read(length)
        return body

    def fetch(self, key: str, take: Callable[[bytes], object]) -> None:
        """All of it, in one request."""
        with self._object(key):
            body = self._connect().get_object(Bucket=self._target.name, Key=key)["Body"]
            for piece in body.iter_chunks(CHUNK):
                take(piece)

    @contextmanager
    def _object(self, key: str) -> Iterator[None]:
        from botocore.exceptions import ClientError

        with self._target.faults("s3:GetObject"):
            try:
                yield
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in NO_OBJECT:
                    msg = f"{self._target} has no object {key!r}; it may be gone"
                    raise AbsentError(msg) from error
                raise
