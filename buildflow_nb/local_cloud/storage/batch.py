"""Batches: many short calls in one request, done here one after the other.

One emulator does not answer batches, and the other's would pass by whoever looks at what was done.
As in Cloud Storage, a call that fails does not stop the others, and a batch holds calls on objects'
metadata only; a call on anything else is refused, by itself.

Source: Cloud Storage JSON API, "Sending batch requests".
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus

from aiohttp import web

from buildflow_nb.local_cloud.storage.emulator import Answer
from buildflow_nb.local_cloud.storage.json_body import parse
from buildflow_nb.local_cloud.storage.objects import Objects
from buildflow_nb.local_cloud.storage.observer import OBJECT
from buildflow_nb.local_cloud.storage.refusal import RefusedError, invalid, not_here, refusal

__all__ = ("Batch",)

# The path may come with a host, which is this one, whatever it says.
CALL = re.compile(r"(DELETE|GET|PATCH|POST|PUT) (?:https?://[^/\s]+)?(/\S*)(?: HTTP/1\.1)?")
MOST_CALLS = 100  # Cloud Storage's limit
BOUNDARY = "batch_of_the_local_cloud_storage"
END = "\r\n"


class Batch:
    """The call that holds calls."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.post("/batch/storage/v1", self.on), web.post("/batch", self.on)]

    async def on(self, request: web.Request) -> web.Response:
        """Do all calls, and answer with all answers in the same order."""
        head = f"Content-Type: {request.headers.get('Content-Type', '')}\r\n\r\n".encode()
        whole = BytesParser().parsebytes(head + await request.read())
        calls = whole.get_payload() if whole.is_multipart() else None
        if not isinstance(calls, list) or len(calls) > MOST_CALLS:
            msg = f"a batch is multipart/mixed with up to {MOST_CALLS} calls"
            raise invalid(msg)
        said = [await self._part(call) for call in calls if isinstance(call, Message)]
        text = b"".join(said) + f"--{BOUNDARY}--{END}".encode()
        kind = f'multipart/mixed; boundary="{BOUNDARY}"'
        return web.Response(body=text, headers={"Content-Type": kind})

    async def _part(self, call: Message) -> bytes:
        try:
            answer = await self._do(call.get_payload(decode=True))
        except RefusedError as error:
            said = refusal(error.status, error.reason, str(error))
            answer = Answer(error.status, said.headers, said.text.encode() if said.text else b"")
        number = str(call.get("Content-ID", "")).strip("<>")
        lines = (
            f"--{BOUNDARY}",
            "Content-Type: application/http",
            f"Content-ID: <response-{number}>",
            "",
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            "Content-Type: application/json; charset=UTF-8",
            f"Content-Length: {len(answer.body)}",
            "",
        )
        return f"{END.join(lines)}{END}".encode() + answer.body + END.encode()

    async def _do(self, text: object) -> Answer:
        if not isinstance(text, bytes):
            msg = "a call of a batch is an HTTP request of its own"
            raise invalid(msg)
        head, _, body = text.replace(b"\r\n", b"\n").strip().partition(b"\n\n")
        line = head.partition(b"\n")[0].decode(errors="replace")
        found = CALL.fullmatch(line)
        if found is None:
            msg = f"a call of a batch begins with a line like 'PATCH /path HTTP/1.1', not {line!r}"
            raise invalid(msg)
        method, path = found.groups()
        if OBJECT.fullmatch(path.partition("?")[0]) is None:
            msg = "the local Cloud Storage does only calls on objects in a batch; send it alone"
            raise not_here(msg)
        if body:
            parse(body)
        return await self._objects.call(method, path, body or None)
