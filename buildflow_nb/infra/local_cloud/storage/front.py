"""The HTTP front of Cloud Storage: what the emulator lacks is answered here, the rest is passed on.

Answered here: notificationConfigs, bucket IAM, the project's service account. Everything else goes
to the emulator and back as it is, streamed. Where the emulator tells no events (`observe`), they
are made from what passes: an answer that is an object means that the object was written.

Source: Cloud Storage JSON API v1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from multidict import CIMultiDict

from buildflow_nb.infra.local_cloud.storage.fan_out import FanOut, described
from buildflow_nb.infra.local_cloud.storage.registrations import Json, Registrations

__all__ = ("front",)

MOST_BYTES = 5 << 40  # Cloud Storage's own limit of an object; bodies are streamed, never held
ANSWER_S = 3600.0  # for one request; large objects take long
CONNECTIONS = 100
OBSERVED_BYTES = 1 << 20  # an object's resource is about 1 kB
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host")
B = "/storage/v1/b/{bucket}"
Handler = Callable[[web.Request], Any]


def front(
    emulator: str, registrations: Registrations, tell: FanOut, *, observe: bool
) -> web.Application:
    """The front as an application; `emulator` is the URL of what stands behind it."""
    app = web.Application(client_max_size=MOST_BYTES)
    passing = _Passing(emulator, registrations, tell if observe else None)
    answers = _Answers(registrations, passing)
    app.cleanup_ctx.append(passing.session)
    app.router.add_post(f"{B}/notificationConfigs", answers.add)
    app.router.add_get(f"{B}/notificationConfigs", answers.list)
    app.router.add_get(f"{B}/notificationConfigs/{{number}}", answers.get)
    app.router.add_delete(f"{B}/notificationConfigs/{{number}}", answers.remove)
    app.router.add_get(f"{B}/iam", answers.policy)
    app.router.add_put(f"{B}/iam", answers.set_policy)
    app.router.add_get("/storage/v1/projects/{project}/serviceAccount", answers.service_account)
    app.router.add_route("*", "/{path:.*}", passing.on)
    return app


class _Answers:
    """What is answered here."""

    def __init__(self, registrations: Registrations, passing: _Passing) -> None:
        self._kept = registrations
        self._passing = passing

    async def add(self, request: web.Request) -> web.Response:
        bucket = request.match_info["bucket"]
        wanted = await _body(request)
        if not await self._passing.has(bucket):
            return _refused(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
        if not str(wanted.get("topic", "")).startswith("//pubsub.googleapis.com/projects/"):
            text = "topic must be //pubsub.googleapis.com/projects/PROJECT/topics/TOPIC"
            return _refused(HTTPStatus.BAD_REQUEST, f"Invalid argument: {text}")
        made = self._kept.add(bucket, wanted)
        return web.json_response({**made, "selfLink": f"{request.url}/{made['id']}"})

    async def list(self, request: web.Request) -> web.Response:
        bucket = request.match_info["bucket"]
        if not await self._passing.has(bucket):
            return _refused(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
        found = self._kept.notifications(bucket)
        return web.json_response({"kind": "storage#notifications", "items": found})

    async def get(self, request: web.Request) -> web.Response:
        bucket, number = request.match_info["bucket"], request.match_info["number"]
        found = self._kept.notification(bucket, number)
        if found is None:
            return _refused(HTTPStatus.NOT_FOUND, f"notification {number!r} does not exist.")
        return web.json_response({**found, "selfLink": str(request.url)})

    async def remove(self, request: web.Request) -> web.Response:
        bucket, number = request.match_info["bucket"], request.match_info["number"]
        if not self._kept.remove(bucket, number):
            return _refused(HTTPStatus.NOT_FOUND, f"notification {number!r} does not exist.")
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def policy(self, request: web.Request) -> web.Response:
        bucket = request.match_info["bucket"]
        if not await self._passing.has(bucket):
            return _refused(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
        return web.json_response({**self._kept.policy(bucket), "resourceId": _resource(bucket)})

    async def set_policy(self, request: web.Request) -> web.Response:
        bucket = request.match_info["bucket"]
        wanted = await _body(request)
        if not await self._passing.has(bucket):
            return _refused(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
        made = self._kept.set_policy(bucket, wanted)
        if made is None:
            text = "the policy was changed meanwhile: its etag is another one now"
            return _refused(HTTPStatus.PRECONDITION_FAILED, text)
        return web.json_response({**made, "resourceId": _resource(bucket)})

    async def service_account(self, request: web.Request) -> web.Response:
        project = request.match_info["project"]
        address = f"service-{project}@gs-project-accounts.iam.gserviceaccount.com"
        return web.json_response({"kind": "storage#serviceAccount", "email_address": address})


class _Passing:
    """Passes requests on to the emulator."""

    def __init__(self, emulator: str, registrations: Registrations, tell: FanOut | None) -> None:
        self._emulator = emulator
        self._kept = registrations
        self._tell = tell
        self._session: ClientSession

    async def session(self, app: web.Application) -> Any:
        """Hold the connections to the emulator while the front runs."""
        del app
        timeout = ClientTimeout(total=ANSWER_S, connect=10)
        connector = TCPConnector(limit=CONNECTIONS)
        async with ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        ) as self._session:
            yield

    async def has(self, bucket: str) -> bool:
        """Whether the emulator has the bucket."""
        async with self._session.get(f"{self._emulator}/storage/v1/b/{bucket}") as answer:
            return answer.status == HTTPStatus.OK

    async def on(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, and its answer back."""
        try:
            return await self._on(request)
        except ClientError as error:
            text = f"the local Cloud Storage does not answer: {error}"
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, text)  # clients try that again

    async def _on(self, request: web.Request) -> web.StreamResponse:
        async with self._session.request(
            request.method,
            f"{self._emulator}{request.raw_path}",
            headers=_passed(request.headers),
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            back = web.StreamResponse(status=answer.status, headers=_passed(answer.headers))
            await back.prepare(request)
            seen = bytearray()
            async for piece in answer.content.iter_any():
                await back.write(piece)
                if len(seen) < OBSERVED_BYTES:
                    seen += piece
            self._observe(request, answer.status, bytes(seen))
            await back.write_eof()
            return back

    def _observe(self, request: web.Request, status: int, body: bytes) -> None:
        if status >= HTTPStatus.BAD_REQUEST or request.method in ("GET", "HEAD"):
            return
        parts = [unquote(part) for part in request.raw_path.partition("?")[0].split("/")]
        if request.method == "DELETE" and parts[1:4] == ["storage", "v1", "b"]:
            if len(parts) == len(["", "storage", "v1", "b", "BUCKET"]):
                self._kept.forget(parts[4])
            elif self._tell is not None:
                gone = {"bucket": parts[4], "name": parts[-1]}
                self._tell.tell(*described("OBJECT_DELETE", gone))
            return
        written = _written(body)
        if self._tell is not None and written is not None:
            kind = "OBJECT_METADATA_UPDATE" if request.method == "PATCH" else "OBJECT_FINALIZE"
            self._tell.tell(*described(kind, written))


def _written(body: bytes) -> Json | None:
    """The object that an answer says was written, if it says so."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    found = found.get("resource", found) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and found.get("kind") == "storage#object" else None


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in HOP_BY_HOP)


async def _body(request: web.Request) -> Json:
    try:
        found = json.loads(await request.read())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object")
    return found


def _refused(status: HTTPStatus, text: str) -> web.Response:
    error = {"code": status, "message": text, "errors": [{"message": text, "domain": "global"}]}
    return web.json_response({"error": error}, status=status)


def _resource(bucket: str) -> str:
    return f"projects/_/buckets/{bucket}"
