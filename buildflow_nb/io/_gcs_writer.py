"""Writes pushes to a Cloud Storage bucket, each as one object.

An upload is atomic: readers see the whole object or none (Cloud Storage documentation,
"Consistency"). It goes with a checksum, which Cloud Storage compares with what has arrived, and
with the condition that no such object is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from buildflow_nb.io._gcp_errors import Target
from buildflow_nb.io._parts import PartNames, Parts, sound_part

__all__ = ("GcsWriter",)

ROLE = "roles/storage.objectCreator"
ATTEMPT_S = 30.0  # for connecting, and for an answer
RETRY_S = 5.0  # for further attempts; the pipeline tries again too, and shows that it does
DELAYS_S = (0.2, 2.0)  # between them, at first and at most
NOT_THERE = 0  # the generation of an object that does not exist


class GcsWriter:
    """Writes parts below `folder`, the beginning of their names; "" is the bucket's root."""

    def __init__(
        self, connect: Callable[[], Any], target: Target, folder: str, parts: Parts
    ) -> None:
        self._connect = connect
        self._target = target
        self._parts = parts
        self._names = PartNames(folder, parts.ending)

    def open(self) -> None:
        """Make the client, so that missing credentials are told at once."""
        with self._target.faults(ROLE):
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
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud.storage.retry import DEFAULT_RETRY

        first, longest = DELAYS_S
        retry = DEFAULT_RETRY.with_timeout(RETRY_S).with_delay(first, longest)
        with self._target.faults(ROLE):
            blob = self._connect().bucket(self._target.name).blob(self._names.next())
            # The name is drawn at random, so an object of that name was written by an attempt whose
            # answer was lost.
            with suppress(PreconditionFailed):
                blob.upload_from_string(
                    body,
                    content_type=self._parts.content_type,
                    if_generation_match=NOT_THERE,
                    checksum="crc32c",
                    timeout=ATTEMPT_S,
                    retry=retry,
                )
