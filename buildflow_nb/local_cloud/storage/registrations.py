"""What the front keeps of each bucket: its metadata, its notifications and its IAM policy.

A change is on disk before it is seen: if it cannot be written, nothing has changed. Changes come
one after the other; reading never waits. Numbers (of notifications, and in etags) come from one
counter that only grows. It starts at the time, in seconds, so that a number of a file that was lost
does not come back with another meaning; nobody makes a notification every second for years.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from buildflow_nb.local_cloud.storage.kept_file import Json, KeptFile

__all__ = ("Registrations",)

DEFAULT_POLICY: Mapping[str, Any] = {"kind": "storage#policy", "version": 1, "bindings": []}
UNCHANGED = "CAE="  # the etag of a policy that nobody has set, as Cloud Storage's looks

T = TypeVar("T")


class Registrations:
    """Metadata, notifications and policies by bucket; used on one loop.

    What the reading methods give must not be changed by the caller.
    """

    def __init__(self, file: KeptFile, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._kept = file.read() or {"buckets": {}, "last": int(now())}
        self._turn = asyncio.Lock()

    def metadata(self, bucket: str) -> Json | None:
        """What was declared of a bucket; None if nothing is known of it."""
        found: Json | None = self._of(bucket).get("metadata")
        return found

    def notifications(self, bucket: str) -> list[Json]:
        """The notifications of a bucket, oldest first."""
        return list(self._of(bucket).get("notifications", {}).values())

    def notification(self, bucket: str, number: str) -> Json | None:
        """One notification, or None."""
        found: Json | None = self._of(bucket).get("notifications", {}).get(number)
        return found

    def policy(self, bucket: str) -> Json:
        """The IAM policy of a bucket."""
        return self._of(bucket).get("policy") or {**DEFAULT_POLICY, "etag": UNCHANGED}

    async def change_metadata(self, bucket: str, change: Callable[[Json | None], Json]) -> Json:
        """Replace what is known of a bucket by what `change` makes of it; gives that.

        Nobody else's change comes in between. What `change` raises leaves everything as it was.

        Raises:
            OSError: the change cannot be written.
        """

        def changed(draft: Json) -> Json:
            kept = _bucket(draft, bucket)
            kept["metadata"] = made = change(kept.get("metadata"))
            return made

        return await self._change(changed)

    async def add_notification(self, bucket: str, wanted: Mapping[str, Any]) -> Json:
        """Make a notification; gives it with its id.

        Raises:
            OSError: the change cannot be written.
        """

        def change(draft: Json) -> Json:
            number = _next(draft)
            made = {**wanted, "kind": "storage#notification", "id": number, "etag": number}
            _bucket(draft, bucket).setdefault("notifications", {})[number] = made
            return made

        return await self._change(change)

    async def remove_notification(self, bucket: str, number: str) -> bool:
        """Remove a notification; whether it was there.

        Raises:
            OSError: the change cannot be written.
        """
        if self.notification(bucket, number) is None:
            return False

        def change(draft: Json) -> bool:
            gone = _bucket(draft, bucket).get("notifications", {}).pop(number, None)
            return gone is not None

        return await self._change(change)

    async def set_policy(self, bucket: str, wanted: Mapping[str, Any]) -> Json | None:
        """Replace the policy; None if it was changed since it was read (its etag differs).

        Raises:
            OSError: the change cannot be written.
        """

        def change(draft: Json) -> Json | None:
            kept = _bucket(draft, bucket)
            now = kept.get("policy", {}).get("etag", UNCHANGED)
            if wanted.get("etag") not in (None, "", now):
                return None
            kept["policy"] = {**DEFAULT_POLICY, **wanted, "etag": _next(draft)}
            made: Json = kept["policy"]
            return made

        return await self._change(change)

    async def forget(self, bucket: str) -> None:
        """A bucket is gone, and everything of it.

        Raises:
            OSError: the change cannot be written.
        """
        if self._of(bucket):
            await self._change(lambda draft: draft["buckets"].pop(bucket, None))

    def _of(self, bucket: str) -> Json:
        found: Json = self._kept["buckets"].get(bucket, {})
        return found

    async def _change(self, change: Callable[[Json], T]) -> T:
        """Write a changed copy, then let it be seen; to the end, whoever stops waiting for it."""

        async def written() -> T:
            async with self._turn:
                draft = copy.deepcopy(self._kept)
                result = change(draft)
                await asyncio.to_thread(self._file.write, draft)
                self._kept = draft
                return result

        return await asyncio.shield(asyncio.create_task(written()))


def _bucket(draft: Json, bucket: str) -> Json:
    found: Json = draft["buckets"].setdefault(bucket, {})
    return found


def _next(draft: Json) -> str:
    draft["last"] += 1
    return str(draft["last"])
