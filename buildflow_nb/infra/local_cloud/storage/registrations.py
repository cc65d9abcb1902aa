"""What the front keeps of each bucket: its notifications and its IAM policy.

It is written at every change, whole, so it needs no clean stop.

Source: Cloud Storage JSON API v1, NotificationConfigs and Buckets: getIamPolicy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ("Json", "Registrations")

Json = dict[str, Any]
DEFAULT_POLICY: Mapping[str, Any] = {"kind": "storage#policy", "version": 1, "bindings": []}


class Registrations:
    """Notifications and policies by bucket, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = _read(path)
        self._notifications: dict[str, dict[str, Json]] = found.get("notifications", {})
        self._policies: dict[str, Json] = found.get("policies", {})
        self._last = int(found.get("last", 0))

    def add(self, bucket: str, wanted: Mapping[str, Any]) -> Json:
        """Make a notification; gives it with its id."""
        self._last += 1
        number = str(self._last)
        made = {**wanted, "kind": "storage#notification", "id": number, "etag": number}
        self._notifications.setdefault(bucket, {})[number] = made
        self._write()
        return made

    def notifications(self, bucket: str) -> list[Json]:
        """The notifications of a bucket, oldest first."""
        return list(self._notifications.get(bucket, {}).values())

    def notification(self, bucket: str, number: str) -> Json | None:
        """One notification, or None."""
        return self._notifications.get(bucket, {}).get(number)

    def remove(self, bucket: str, number: str) -> bool:
        """Remove a notification; whether it was there."""
        found = self._notifications.get(bucket, {}).pop(number, None) is not None
        self._write()
        return found

    def policy(self, bucket: str) -> Json:
        """The IAM policy of a bucket."""
        return self._policies.get(bucket) or {**DEFAULT_POLICY, "etag": "0"}

    def set_policy(self, bucket: str, wanted: Mapping[str, Any]) -> Json | None:
        """Replace the policy; None if it was changed since it was read (its etag differs)."""
        now = self.policy(bucket)
        if wanted.get("etag") not in (None, "", now["etag"]):
            return None
        self._policies[bucket] = {
            **DEFAULT_POLICY, **wanted, "etag": str(int(now["etag"]) + 1),
        }  # fmt: skip
        self._write()
        return self._policies[bucket]

    def forget(self, bucket: str) -> None:
        """A bucket is gone, and everything of it."""
        if self._notifications.pop(bucket, None) or self._policies.pop(bucket, None):
            self._write()

    def _write(self) -> None:
        whole = {
            "notifications": self._notifications,
            "policies": self._policies,
            "last": self._last,
        }
        partial = self._path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(whole), encoding="utf-8")
        partial.replace(self._path)


def _read(path: Path) -> Json:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        path.replace(path.with_suffix(".damaged"))  # put aside, not lost
        return {}
    return found if isinstance(found, dict) else {}
