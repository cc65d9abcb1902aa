"""A Cloud Storage bucket, as a place to put objects.

An upload is atomic: readers see the whole object or none (Cloud Storage documentation,
"Consistency"). It goes with a checksum, which Cloud Storage compares with what has arrived, and
with the condition that no such object is there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from buildflow_nb.io.gcp.errors import Target

__all__ = ("LOOK_ROLE", "GcsStore")

ROLE = "roles/storage.objectCreator"
LOOK_ROLE = "roles/storage.bucketViewer"
ATTEMPT_S = 30.0  # for connecting, and for an answer
RETRY_S = 5.0  # for further attempts; the pipeline tries again too, and shows that it does
DELAYS_S = (0.2, 2.0)  # between them, at first and at most
NOT_THERE = 0  # the generation of an object that does not exist


class GcsStore:
    """Puts objects into the bucket `target`, through the client that `connect` gives."""

    def __init__(self, connect: Callable[[], Any], target: Target) -> None:
        self._connect = connect
        self._target = target

    def open(self) -> None:
        """Make the client, so that missing credentials are told at once."""
        with self._target.faults(ROLE):
            self._connect()

    def look(self, within_s: float) -> str:
        """Look whether the bucket is there.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us; a `DeniedError` where it may not be looked at.
        """
        with self._target.faults(LOOK_ROLE):
            self._connect().get_bucket(self._target.name, timeout=within_s, retry=None)
        return "is there"

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there, of a name that is drawn at random; raises as `PartStore.put`."""
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud.storage.retry import DEFAULT_RETRY

        first, longest = DELAYS_S
        retry = DEFAULT_RETRY.with_timeout(RETRY_S).with_delay(first, longest)
        with self._target.faults(ROLE):
            blob = self._connect().bucket(self._target.name).blob(name)
            # One that is there already is ours: an attempt put it there, and its answer was lost.
            with suppress(PreconditionFailed):
                blob.upload_from_string(
                    body,
                    content_type=content_type,
                    if_generation_match=NOT_THERE,
                    checksum="crc32c",
                    timeout=ATTEMPT_S,
                    retry=retry,
                )
