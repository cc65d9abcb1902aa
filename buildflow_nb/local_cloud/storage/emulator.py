"""The emulator behind the front, and how a request is passed to it and its answer back.

Bodies flow through in pieces, both ways, at the pace of the slower side: an object of any size
takes no more than the buffers of two connections. What belongs to one connection (RFC 9110, section
7.6.1) is not passed on; all else is, byte for byte, compressed or not. Nothing but the emulator's
own address is ever dialled: no redirect is followed, no proxy is asked, and a path cannot name
another host. `Host` is always the front's, so that links in answers lead back through it.

A client that hangs up in the middle ends the emulator's request too, unfinished: half an upload is
no object. An emulator that hangs up in the middle of an answer ends the client's connection, since
its status has been sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    TCPConnector,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from buildflow_nb.local_cloud.ports import HOST
from buildflow_nb.local_cloud.storage.json_body import parse
from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.object_names import Body
from buildflow_nb.local_cloud.storage.refusal import RefusedError, invalid, not_here

__all__ = ("Answer", "Emulator")

ANSWER_S = 3600.0  # for one request; a large object over a slow disk takes long
CONNECT_S = 10.0  # on the loopback it is a millisecond, unless all connections are in use
SILENCE_S = 300.0  # in which an emulator that works says something; composing takes long
CONNECTIONS = 100
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",  # codespell:ignore te
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What aiohttp would add; with Accept-Encoding, objects would come compressed to who did not ask.
ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
FAULTS = (ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Answer:
    """A short answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def response(self) -> web.Response:
        """The answer for the client, as it is."""
        headers = CIMultiDict(self.headers)
        headers.popall("Content-Length", None)  # it is counted anew
        return web.Response(status=self.status, headers=headers, body=self.body)

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return self.status < HTTPStatus.BAD_REQUEST

    def json(self) -> Json:
        """The JSON object in it.

        Raises:
            RefusedError: there is none.
        """
        return parse(self.body)


class Emulator:
    """The emulator at a port of the loopback; `outside` is the front's own `host:port`.

    `frail` says that it ends the connection where it should answer with an error, so that trying
    again is of no use.
    """

    def __init__(self, port: int, outside: str, *, frail: bool = False) -> None:
        self._address = f"http://{HOST}:{port}"
        self._outside = outside
        self._frail = frail
        self._session: ClientSession

    async def session(self, app: web.Application) -> AsyncIterator[None]:
        """Hold the connections to the emulator while the front runs."""
        del app
        timeout = ClientTimeout(ANSWER_S, connect=CONNECT_S, sock_read=SILENCE_S)
        connector = TCPConnector(limit=CONNECTIONS)
        async with ClientSession(
            timeout=timeout,
            connector=connector,
            auto_decompress=False,
            skip_auto_headers=ADDED,
        ) as self._session:
            yield

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send a short request of the front's own; its body is JSON.

        Raises:
            RefusedError: no answer came.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return await self._whole(method, path, headers, body)

    async def write(self, request: web.Request, method: str, body: Body) -> Answer:
        """Pass on a request that changes something; its answer is short, whatever it carries.

        Raises:
            RefusedError: no answer came.
        """
        headers = _passed(request.headers)
        headers.popall("Accept-Encoding", None)  # the answer is looked at
        return await self._whole(method, request.raw_path, headers, body)

    async def read(self, request: web.Request, body: Body) -> web.StreamResponse:
        """Pass on a request that changes nothing, and the answer back while it comes.

        Raises:
            RefusedError: no answer came.
        """
        back: web.StreamResponse | None = None
        headers = _passed(request.headers)
        try:
            async with await self._send(request.method, request.raw_path, headers, body) as answer:
                back = web.StreamResponse(status=answer.status, headers=_passed(answer.headers))
                await back.prepare(request)
                async for piece in answer.content.iter_any():
                    await back.write(piece)
                await back.write_eof()
        except FAULTS as error:
            if back is None:
                raise self._silent(error) from error
            if request.transport is not None:
                request.transport.abort()  # a status was sent: only this says that it is not all
        return back

    async def _whole(
        self, method: str, path: str, headers: Mapping[str, str], body: Body
    ) -> Answer:
        try:
            async with await self._send(method, path, headers, body) as answer:
                return Answer(answer.status, _passed(answer.headers), await answer.read())
        except FAULTS as error:
            raise self._silent(error) from error

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Body
    ) -> ClientResponse:
        if not path.startswith("/"):  # after the address, "@other" would be another host
            msg = f"{path!r} is not a path; it has to begin with a slash"
            raise invalid(msg)
        outgoing = CIMultiDict(headers)
        outgoing["Host"] = self._outside
        return await self._session.request(
            method,
            URL(self._address + path, encoded=True),
            headers=outgoing,
            data=body,
            allow_redirects=False,
        )

    def _silent(self, error: Exception) -> RefusedError:
        if self._frail and isinstance(error, ServerDisconnectedError):
            return not_here("the local Cloud Storage could not do this; see its log, storage.log")
        text = f"the local Cloud Storage does not answer ({type(error).__name__}: {error})"
        return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "backendError", text)


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    named = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
    own = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in own)
