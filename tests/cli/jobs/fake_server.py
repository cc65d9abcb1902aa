"""A server that takes jobs as Ray's REST API has it, and does with them what a test says."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field

from aiohttp import web

from buildflow_nb.runtime.concurrency.loop import loop_thread

MOST_LOOKS = 1000  # a test does not wait for ever


@dataclass
class FakeServer:
    """`status`, `message`, `exit_code` and `log` are what each job shows, until told otherwise."""

    token: str = ""
    version: dict[str, object] | None = field(default_factory=lambda: {"ray_version": "2.60.0"})
    status: str = "SUCCEEDED"
    message: str = ""
    exit_code: int | None = None
    log: str = "price is running\nprice is stopped\n"
    on_stop: str = "STOPPED"
    tail: bool = True
    cut: int = 0  # how often the open line breaks off, after a line of the log
    ends_when_read: bool = False  # a job ends once all of its log was asked for
    slow: bool = False  # it does not say its version
    silent: int = 0  # how often the status is no answer
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.packages: dict[str, bytes] = {}
        self.jobs: list[dict[str, object]] = []
        self.asked: list[str] = []
        self.stops = self.looks = 0
        self.address = ""
        self._runner: web.AppRunner | None = None
        self._stopped = asyncio.Event()
        self._reached = threading.Event()

    def __enter__(self) -> FakeServer:
        loop_thread().run(self._begin(), 10.0)
        return self

    def __exit__(self, *_: object) -> None:
        loop_thread().run(self._end(), 10.0)

    def reached(self) -> None:
        """Wait until somebody has asked."""
        assert self._reached.wait(60.0)

    async def _begin(self) -> None:
        app = web.Application(middlewares=[self._checked], client_max_size=2**27)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/packages/gcs/{name}", self._has)
        app.router.add_put("/api/packages/gcs/{name}", self._put)
        app.router.add_post("/api/jobs/", self._submit)
        app.router.add_get("/api/jobs/{name}", self._job)
        app.router.add_post("/api/jobs/{name}/stop", self._stop)
        app.router.add_get("/api/jobs/{name}/logs", self._log)
        app.router.add_get("/api/jobs/{name}/logs/tail", self._tail)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"

    async def _end(self) -> None:
        self._stopped.set()
        await self._runner.cleanup()

    @web.middleware
    async def _checked(self, request: web.Request, handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        given = request.headers.get("Authorization", "")
        if self.token and given != f"Bearer {self.token}":
            return web.Response(status=403 if given else 401, text="Unauthorized")
        for path, (status, text) in self.refuse.items():
            if f"{request.method} {request.path}".startswith(path):
                return web.Response(status=status, text=text, headers={"Location": "/elsewhere"})
        return await handler(request)

    async def _version(self, request: web.Request) -> web.Response:
        self._reached.set()
        if self.slow:
            await self._stopped.wait()
        if self.version is None:
            raise web.HTTPNotFound
        return web.json_response(self.version)

    async def _has(self, request: web.Request) -> web.Response:
        there = request.match_info["name"] in self.packages
        return web.Response(status=200 if there else 404)

    async def _put(self, request: web.Request) -> web.Response:
        self.packages[request.match_info["name"]] = await request.read()
        return web.Response()

    async def _submit(self, request: web.Request) -> web.Response:
        job = await request.json()
        self.jobs.append(job)
        return web.json_response(
            {"job_id": job["submission_id"], "submission_id": job["submission_id"]}
        )

    async def _job(self, request: web.Request) -> web.Response:
        if request.match_info["name"] not in [job["submission_id"] for job in self.jobs]:
            return web.Response(status=404, text="Job does not exist")
        if self.silent:
            self.silent -= 1
            request.transport.abort()
        self.looks += 1
        if self.looks > MOST_LOOKS:
            self.status = "STOPPED"
        about = {"status": self.status, "message": self.message, "driver_exit_code": self.exit_code}
        return web.json_response(about)

    async def _stop(self, request: web.Request) -> web.Response:
        self.stops += 1
        if self.on_stop:
            self.status = self.on_stop
            self._stopped.set()
        return web.json_response({"stopped": True})

    async def _log(self, request: web.Request) -> web.Response:
        if self.ends_when_read:
            self.status = "SUCCEEDED"
        return web.Response(text=json.dumps({"logs": self.log}), content_type="application/json")

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        if not self.tail:
            raise web.HTTPBadRequest
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for line in self.log.splitlines(keepends=True):
            await socket.send_str(line)
            if self.cut:
                self.cut -= 1
                request.transport.abort()
                return socket
        if self.status not in ("SUCCEEDED", "FAILED", "STOPPED"):
            await self._stopped.wait()
        await socket.close()
        return socket
