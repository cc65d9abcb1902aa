"""Notification configurations: which topics hear of a bucket's objects.

Source: Cloud Storage JSON API v1, NotificationConfigs; "Pub/Sub notifications for Cloud Storage",
section "Limits".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from buildflow_nb.local_cloud.storage.buckets import Buckets
from buildflow_nb.local_cloud.storage.fan_out import EVENT_TYPES, HOST
from buildflow_nb.local_cloud.storage.json_body import read_json
from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.refusal import invalid, not_found
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("Notifications", "checked")

FIELDS = ("custom_attributes", "event_types", "object_name_prefix", "payload_format", "topic")
FORMATS = ("JSON_API_V1", "NONE")
MOST_A_BUCKET = 100
MOST_AN_EVENT = 10  # of a bucket, for one type of event
TOPIC = re.compile(re.escape(HOST) + r"projects/[^/]+/topics/[^/]+")


class Notifications:
    """The calls on notification configurations."""

    def __init__(self, buckets: Buckets, registrations: Registrations) -> None:
        self._buckets = buckets
        self._kept = registrations

    def routes(self) -> list[web.RouteDef]:
        """Where the calls are found."""
        all_of_them = "/storage/v1/b/{bucket}/notificationConfigs"
        one = f"{all_of_them}/{{number}}"
        return [
            web.post(all_of_them, self.insert),
            web.get(all_of_them, self.list),
            web.get(one, self.get),
            web.delete(one, self.delete),
        ]

    async def insert(self, request: web.Request) -> web.Response:
        """Make one."""
        bucket = request.match_info["bucket"]
        wanted = checked(await read_json(request))
        await self._buckets.must_have(bucket)
        _check_room(self._kept.notifications(bucket), wanted)
        made = await self._kept.add_notification(bucket, wanted)
        return web.json_response(_shown(request, bucket, made))

    async def list(self, request: web.Request) -> web.Response:
        """List those of a bucket."""
        bucket = request.match_info["bucket"]
        await self._buckets.must_have(bucket)
        items = [_shown(request, bucket, one) for one in self._kept.notifications(bucket)]
        return web.json_response({"kind": "storage#notifications", "items": items})

    async def get(self, request: web.Request) -> web.Response:
        """Show one."""
        bucket, number = request.match_info["bucket"], request.match_info["number"]
        found = self._kept.notification(bucket, number)
        if found is None:
            raise _no_such(bucket, number)
        return web.json_response(_shown(request, bucket, found))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one."""
        bucket, number = request.match_info["bucket"], request.match_info["number"]
        if not await self._kept.remove_notification(bucket, number):
            raise _no_such(bucket, number)
        return web.Response(status=HTTPStatus.NO_CONTENT)


def checked(wanted: Mapping[str, Any]) -> Json:
    """The configuration that a request asks for.

    Raises:
        RefusedError: Cloud Storage would refuse it.
    """
    found = {key: wanted[key] for key in FIELDS if wanted.get(key)}
    if TOPIC.fullmatch(str(found.get("topic", ""))) is None:
        msg = f"topic must be {HOST}projects/PROJECT/topics/TOPIC"
        raise invalid(msg)
    if found.get("payload_format") not in FORMATS:
        msg = f"payload_format must be one of {', '.join(FORMATS)}"
        raise invalid(msg)
    types = found.get("event_types", [])
    if not isinstance(types, list) or not set(map(str, types)) <= set(EVENT_TYPES):
        msg = f"event_types must be a list of {', '.join(EVENT_TYPES)}"
        raise invalid(msg)
    attributes = found.get("custom_attributes", {})
    if not isinstance(attributes, dict) or not all(
        isinstance(value, str) for value in attributes.values()
    ):
        msg = "custom_attributes must be an object whose values are strings"
        raise invalid(msg)
    if not isinstance(found.get("object_name_prefix", ""), str):
        msg = "object_name_prefix must be a string"
        raise invalid(msg)
    return found


def _check_room(there: list[Json], wanted: Json) -> None:
    if len(there) >= MOST_A_BUCKET:
        msg = f"a bucket has {MOST_A_BUCKET} notifications at most; delete some"
        raise invalid(msg)
    for kind in wanted.get("event_types", EVENT_TYPES):
        same = sum(kind in one.get("event_types", EVENT_TYPES) for one in there)
        if same >= MOST_AN_EVENT:
            msg = f"a bucket has {MOST_AN_EVENT} notifications for {kind} at most"
            raise invalid(msg)


def _shown(request: web.Request, bucket: str, one: Json) -> Json:
    link = request.url.origin() / f"storage/v1/b/{bucket}/notificationConfigs/{one['id']}"
    return {**one, "selfLink": str(link)}


def _no_such(bucket: str, number: str) -> Exception:
    return not_found(f"bucket {bucket!r} has no notification {number!r}")
