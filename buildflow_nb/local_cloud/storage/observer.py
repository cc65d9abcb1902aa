"""Events of an emulator that tells none, made from the requests that pass and their answers.

An answer that is an object's resource means that the object was written, or changed by a PATCH. Of
an object that is about to be deleted, the resource is read first, for the event's payload. Writes
that are answered without a resource (the XML API's) are not told, and no event says which
generation it overwrote.

Source: Cloud Storage JSON API v1, Objects: insert, compose, rewrite, patch, delete.
"""

from __future__ import annotations

import json
import re
from typing import Any

from buildflow_nb.local_cloud.storage.emulator import Answer, Emulator
from buildflow_nb.local_cloud.storage.fan_out import EventType, FanOut, described
from buildflow_nb.local_cloud.storage.kept_file import Json

__all__ = ("OBJECT", "Observer")

OBJECT = re.compile(r"/storage/v1/b/[^/]+/o/.+")  # the path of a call on one object


class Observer:
    """Looks at requests that change something, and tells what they did."""

    def __init__(self, emulator: Emulator, fan_out: FanOut) -> None:
        self._emulator = emulator
        self._fan_out = fan_out

    async def before(self, method: str, path: str) -> Json | None:
        """The resource of an object that a request is about to delete, if there is one."""
        plain = path.partition("?")[0]
        if method != "DELETE" or OBJECT.fullmatch(plain) is None:
            return None
        answer = await self._emulator.ask("GET", plain)
        return _resource(answer.body) if answer.ok else None

    def after(self, method: str, answer: Answer, going: Json | None) -> None:
        """Tell what an answer says was done."""
        if not answer.ok:
            return
        if going is not None:
            self._fan_out.tell(*described("OBJECT_DELETE", going))
        elif (written := _resource(answer.body)) is not None:
            kind: EventType = "OBJECT_METADATA_UPDATE" if method == "PATCH" else "OBJECT_FINALIZE"
            self._fan_out.tell(*described(kind, written))


def _resource(body: bytes) -> Json | None:
    """The object's resource in an answer: itself, or, of a rewrite, what was written."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        return None
    found = found.get("resource", found) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and found.get("kind") == "storage#object" else None
