"""Writes pushes to an S3 bucket, each as one object.

`PutObject` is atomic: readers see the whole object or none (Amazon S3 User Guide, "Data consistency
model"). It goes with a checksum, which S3 compares with what has arrived.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from buildflow_nb.io._aws_errors import Target
from buildflow_nb.io._parts import PartNames, Parts, sound_part

__all__ = ("S3Writer",)


class S3Writer:
    """Writes parts below `folder`, the beginning of their keys; "" is the bucket's root."""

    def __init__(
        self, connect: Callable[[], Any], target: Target, folder: str, parts: Parts
    ) -> None:
        self._connect = connect
        self._target = target
        self._parts = parts
        self._names = PartNames(folder, parts.ending)

    def open(self) -> None:
        """Make the client, so that missing credentials or a missing region are told at once."""
        with self._target.faults("s3:PutObject"):
            self._connect()

    def write(self, items: Sequence[object]) -> None:
        """Write the items as one object.

        Raises:
            PartialPushError: all were written but some.
            TemporaryError: the bucket is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        body, partial = sound_part(self._parts, items)
        if body is not None:
            self._put(body)
            self._parts.keep()
        if partial is not None:
            raise partial

    def close(self) -> None:
        """Nothing is held open."""

    def _put(self, body: bytes) -> None:
        with self._target.faults("s3:PutObject"):
            self._connect().put_object(
                Bucket=self._target.name,
                Key=self._names.next(),
                Body=body,
                ContentType=self._parts.content_type,
                ChecksumCRC32=base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
            )
