"""An S3 bucket, as a place to put objects.

`PutObject` is atomic: readers see the whole object or none (Amazon S3 User Guide, "Data consistency
model"). It goes with a checksum, which S3 compares with what has arrived.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

from buildflow_nb.io.aws.errors import Target

__all__ = ("S3Store",)


class S3Store:
    """Puts objects into the bucket `target`, through the client that `connect` gives."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def open(self) -> None:
        """Make the client, so that missing credentials or a missing region are told at once."""
        with self._target.faults("s3:PutObject"):
            self._connect()

    def look(self) -> str:
        """Look whether the bucket is there.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us; a `DeniedError` where it may not be listed.
        """
        with self._target.faults("s3:ListBucket"):
            # HeadBucket, which is meant for this, says neither why it refuses nor where it is.
            self._connect().list_objects_v2(Bucket=self._target.name, MaxKeys=1)
        return "is there"

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there; raises as `PartStore.put`."""
        with self._target.faults("s3:PutObject"):
            self._connect().put_object(
                Bucket=self._target.name,
                Key=name,
                Body=body,
                ContentType=content_type,
                ChecksumCRC32=base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
            )
