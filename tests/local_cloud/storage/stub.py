"""The front on the test's own loop, before an emulator that a test makes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientResponse, ClientSession, web

from buildflow_nb.local_cloud.storage.fan_out import FanOut
from buildflow_nb.local_cloud.storage.front import front
from buildflow_nb.local_cloud.storage.kept_file import KeptFile
from buildflow_nb.local_cloud.storage.registrations import Registrations

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """A request as it came to the emulator."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Here:
    """A client of the front, and what came to the emulator behind it, once it was complete."""

    port: int
    session: ClientSession
    kept: Registrations
    asked: list[Asked]
    stop_emulator: Callable[[], Awaitable[None]]

    def call(self, method: str, path: str, **words):
        url = f"http://127.0.0.1:{self.port}{path}"
        return self.session.request(method, url, allow_redirects=False, **words)

    async def raw(self, text: bytes) -> bytes:
        """The answer to bytes that no client would send, on a connection of their own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text)
        answer = await reader.read()
        writer.close()
        return answer


async def said(answer: ClientResponse) -> tuple[int, str]:
    """The status and the message of a refusal."""
    return answer.status, (await answer.json())["error"]["message"]


async def always_there(request: web.Request) -> web.Response:
    """An emulator that has every bucket, and nothing in it."""
    name = request.path.split("/")[4] if request.path.startswith("/storage/v1/b/") else "b"
    return web.json_response({"name": name, "location": "US", "iamConfiguration": {}})


@asynccontextmanager
async def serving(app: web.Application, **words) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, **words)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner
    finally:
        await runner.cleanup()


def port_of(runner: web.AppRunner) -> int:
    return runner.addresses[0][1]


@asynccontextmanager
async def before(
    answer: Answering, folder: Path, *, observe: bool = False, reading: bool = True
) -> AsyncIterator[Here]:
    """A front before an emulator that answers so; `reading` lets it read requests to their end."""
    asked: list[Asked] = []

    async def on(request: web.Request) -> web.StreamResponse:
        if reading:
            with suppress(ConnectionResetError):
                body = await request.read()
                asked.append(Asked(request.method, request.raw_path, dict(request.headers), body))
        return await answer(request)

    emulator = web.Application(client_max_size=1 << 30)
    emulator.router.add_route("*", "/{path:.*}", on)
    kept = Registrations(KeptFile(folder / "storage.json"))
    async with serving(emulator, auto_decompress=False) as behind, ClientSession() as session:
        app = front(port_of(behind), 4443, kept, FanOut(_nowhere, kept), observe=observe)
        async with serving(app, auto_decompress=False) as runner:
            yield Here(port_of(runner), session, kept, asked, behind.cleanup)


def _nowhere(topic: str, messages: object) -> None:
    msg = f"{messages} for {topic}"
    raise AssertionError(msg)
