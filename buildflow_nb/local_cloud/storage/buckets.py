"""Buckets: what the emulators know of them is the name, and the front keeps the rest.

Labels, location, storage class, IAM configuration and what else is `KEPT` are told back as they
were declared, so that drift is seen; nothing acts on them. A bucket of which the front knows
nothing, since its file was lost, is shown without `iamConfiguration`: by that a reader knows that
defaults would be guesses, and does not replace a bucket for a location that nobody remembers.

Versioning would decide what survives a write, which the emulators' folders cannot do; it is
refused.

Source: Cloud Storage JSON API v1, Buckets; RFC 7396 (how a patch changes metadata).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import web

from buildflow_nb.local_cloud.storage.emulator import Answer, Emulator
from buildflow_nb.local_cloud.storage.json_body import read_json
from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.refusal import (
    RefusedError,
    invalid,
    no_such_bucket,
    not_here,
    precondition_failed,
)
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("Buckets", "created", "patched")

B = "/storage/v1/b"
KEPT = ("cors", "iamConfiguration", "labels", "lifecycle", "logging", "storageClass", "website")
DEFAULTS: Mapping[str, Any] = {
    "location": "US",
    "storageClass": "STANDARD",
    "iamConfiguration": {
        "uniformBucketLevelAccess": {"enabled": False},
        "publicAccessPrevention": "inherited",
    },
}
MULTI_REGIONS = frozenset({"ASIA", "EU", "US"})
DUAL_REGIONS = frozenset({"ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4"})
NOT_EMPTY = HTTPStatus.PRECONDITION_FAILED  # by which fake-gcs-server says so


class Buckets:
    """The calls on buckets."""

    def __init__(self, emulator: Emulator, registrations: Registrations) -> None:
        self._emulator = emulator
        self._kept = registrations

    def routes(self) -> list[web.RouteDef]:
        """Where the calls are found."""
        one = f"{B}/{{bucket}}"
        return [
            web.post(B, self.insert),
            web.get(B, self.list),
            web.get(one, self.get),
            web.patch(one, self.patch),
            web.put(one, self.update),
            web.delete(one, self.delete),
        ]

    async def must_have(self, bucket: str) -> Json:
        """What the emulator knows of a bucket.

        Raises:
            RefusedError: it is not there.
        """
        answer = await self._emulator.ask("GET", _path(bucket))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise no_such_bucket(bucket)
        return _done(answer).json()

    async def insert(self, request: web.Request) -> web.Response:
        """Make a bucket."""
        wanted = await read_json(request)
        metadata = created(wanted)
        name = json.dumps({"name": wanted.get("name")}).encode()
        path = f"{B}?{request.query_string}"
        live = _done(await self._emulator.ask("POST", path, name)).json()
        bucket = str(live["name"])
        await self._kept.forget(bucket)  # of one before that went by another way
        await self._kept.change_metadata(bucket, lambda _: metadata)
        return web.json_response(_shown(live, metadata))

    async def list(self, request: web.Request) -> web.Response:
        """List the buckets."""
        found = _done(await self._emulator.ask("GET", f"{B}?{request.query_string}")).json()
        items = [_shown(one, self._kept.metadata(one["name"])) for one in found.get("items") or ()]
        return web.json_response({**found, "items": items})

    async def get(self, request: web.Request) -> web.Response:
        """Show a bucket."""
        bucket = request.match_info["bucket"]
        live = await self.must_have(bucket)
        return web.json_response(_shown(live, self._kept.metadata(bucket)))

    async def patch(self, request: web.Request) -> web.Response:
        """Change some of a bucket's metadata."""
        return await self._change(request, lambda old: old)

    async def update(self, request: web.Request) -> web.Response:
        """Replace a bucket's metadata, but for its location, which is for ever."""
        return await self._change(
            request, lambda old: {key: value for key, value in old.items() if key not in KEPT}
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a bucket, and forget all of it."""
        bucket = request.match_info["bucket"]
        answer = await self._emulator.ask("DELETE", _path(bucket))
        if answer.status in (NOT_EMPTY, HTTPStatus.CONFLICT):
            msg = f"The bucket you tried to delete is not empty: {bucket!r}."
            raise RefusedError(HTTPStatus.CONFLICT, "conflict", msg)
        if answer.status == HTTPStatus.NOT_FOUND:
            await self._kept.forget(bucket)
            raise no_such_bucket(bucket)
        _done(answer)
        await self._kept.forget(bucket)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _change(self, request: web.Request, stays: Callable[[Json], Json]) -> web.Response:
        """Change a bucket by what a request says, beginning with what `stays` of it."""
        bucket = request.match_info["bucket"]
        live = await self.must_have(bucket)
        wanted = await read_json(request)
        expected = request.query.get("ifMetagenerationMatch")

        def change(old: Json | None) -> Json:
            now = old or created({})
            if expected not in (None, now["metageneration"]):
                msg = f"the bucket's metageneration is {now['metageneration']}, not {expected}"
                raise precondition_failed(msg)
            return patched(stays(now), wanted)

        metadata = await self._kept.change_metadata(bucket, change)
        return web.json_response(_shown(live, metadata))


def created(wanted: Mapping[str, Any]) -> Json:
    """The metadata of a new bucket, of what its maker asked for.

    Raises:
        RefusedError: it cannot be had here.
    """
    location = str(wanted.get("location") or DEFAULTS["location"]).upper()
    kind = "multi-region" if location in MULTI_REGIONS else "region"
    if location in DUAL_REGIONS:
        kind = "dual-region"
    made = {**DEFAULTS, "location": location, "locationType": kind, "metageneration": "0"}
    return patched(made, wanted)


def patched(old: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    """The metadata after a patch: null takes away, a table is changed key by key.

    Raises:
        RefusedError: it cannot be had here.
    """
    if wanted.get("versioning") not in (None, {}, {"enabled": False}):
        msg = "the local Cloud Storage has no object versioning; leave it out"
        raise not_here(msg)
    changes = {key: wanted[key] for key in KEPT if key in wanted}
    tables = [key for key in ("iamConfiguration", "labels") if changes.get(key) is not None]
    if wrong := [key for key in tables if not isinstance(changes[key], dict)]:
        msg = f"{wrong[0]} of a bucket has to be an object"
        raise invalid(msg)
    return {
        **{key: DEFAULTS[key] for key in DEFAULTS if key in KEPT},
        **_merged(old, changes),
        "metageneration": str(int(old["metageneration"]) + 1),
        "updated": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    merged = dict(old)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _shown(live: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> Json:
    if metadata is None:
        return {key: value for key, value in live.items() if key != "iamConfiguration"}
    return {**live, **metadata, "etag": metadata["metageneration"]}


def _path(bucket: str) -> str:
    return f"{B}/{quote(bucket, safe='')}"


def _done(answer: Answer) -> Answer:
    """The answer, unless it is a refusal, which goes to the client in Google's form."""
    if answer.ok:
        return answer
    try:
        message = str(answer.json()["error"]["message"])
    except (RefusedError, KeyError, TypeError):
        message = answer.body.decode(errors="replace").strip() or f"status {answer.status}"
    raise RefusedError(answer.status, "emulator", message)
