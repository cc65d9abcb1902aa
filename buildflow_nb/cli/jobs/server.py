"""The server of a Ray cluster that takes jobs, by Ray's REST API: what it is asked, as methods.

Every answer has a deadline, and what goes wrong is told in one line. A token goes as a header to
the one server that was named; redirects are not followed, so it goes nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote, urlsplit

import aiohttp

from buildflow_nb.core.errors import RunError, UsageError, told
from buildflow_nb.core.nearest import shown

__all__ = ("Job", "JobServer", "SilentError", "token_of")

TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
ANSWER_S, UPLOAD_S, CONNECT_S = 60.0, 600.0, 10.0
ALIVE_S = 20.0  # a log that says nothing is asked whether it is still there
MOST_LOG = 2**24  # bytes of one message
MOST_SAID = 300
_OK, _MOVED, _UNAUTHORIZED, _FORBIDDEN, _UNKNOWN = 200, 300, 401, 403, 404
_PACKAGES = "/api/packages/gcs/"


class SilentError(RunError):
    """The server cannot be reached, or does not answer, for now."""


@dataclass(frozen=True, slots=True)
class Job:
    """How a job is: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED, and why."""

    status: str
    message: str = ""
    exit_code: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in ENDED


class JobServer:
    """The server at `address`, which is `http://head:8265` or what stands before it.

    Raises:
        UsageError: the address is none, or has a password in it.
    """

    def __init__(self, address: str, token: str = "") -> None:
        self.address = _checked(address)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        patience = aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=patience)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def version(self) -> str:
        """Ray's version there, which says that jobs are taken.

        Raises:
            RunError: they are not.
        """
        status, text = await self._ask("GET", "/api/version")
        if status == _OK:
            about = _read(text)
            if "ray_version" in about:
                return str(about["ray_version"])
        if status in (_OK, _UNKNOWN):
            msg = (
                f"{self.address} takes no jobs; give the address of a Ray dashboard, as "
                "http://head:8265, of a cluster with ray[default]"
            )
            raise RunError(msg)
        return self._refuse("say its version", status, text)

    async def has(self, package: str) -> bool:
        """Whether a package of that name is there."""
        status, text = await self._ask("GET", _PACKAGES + quote(package, safe=""))
        if status not in (_OK, _UNKNOWN):
            self._refuse("look for the package", status, text)
        return status == _OK

    async def put(self, package: str, data: bytes) -> None:
        """Send a package."""
        path = _PACKAGES + quote(package, safe="")
        status, text = await self._ask("PUT", path, data=data, within_s=UPLOAD_S)
        if status != _OK:
            self._refuse("take the package", status, text)

    async def submit(self, request: Mapping[str, Any]) -> None:
        """Have a job begin; `request` is the body that Ray's REST API names."""
        status, text = await self._ask("POST", "/api/jobs/", body=request)
        if status != _OK:
            self._refuse("take the job", status, text)

    async def job(self, name: str) -> Job:
        """How a job is."""
        status, text = await self._ask("GET", _path(name))
        if status != _OK:
            self._refuse(f"say how job {name} is", status, text)
        about = _read(text)
        code = about.get("driver_exit_code")
        return Job(
            str(about.get("status", "")),
            str(about.get("message") or ""),
            code if isinstance(code, int) else None,
        )

    async def stop(self, name: str) -> None:
        """Ask a job to stop: its program hears SIGTERM."""
        status, text = await self._ask("POST", f"{_path(name)}/stop")
        if status != _OK:
            self._refuse(f"stop job {name}", status, text)

    async def log(self, name: str) -> str:
        """All that a job has said so far."""
        status, text = await self._ask("GET", f"{_path(name)}/logs")
        if status != _OK:
            self._refuse(f"give the log of job {name}", status, text)
        return str(_read(text).get("logs") or "")

    async def follow(self, name: str) -> AsyncIterator[str]:
        """What a job says, from its beginning to its end, as it comes.

        Raises:
            SilentError: the line is cut, or there is none.
        """
        url = f"{self.address}{_path(name)}/logs/tail"
        try:
            async with self._open.ws_connect(
                url, heartbeat=ALIVE_S, max_msg_size=MOST_LOG
            ) as socket:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield message.data
                    elif message.type is aiohttp.WSMsgType.ERROR:
                        raise SilentError(self._silent(socket.exception()))
                if socket.close_code != aiohttp.WSCloseCode.OK:
                    raise SilentError(self._silent(None))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SilentError(self._silent(error)) from error

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            msg = "the server is asked inside of `async with` only"
            raise RuntimeError(msg)
        return self._session

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        body: Mapping[str, Any] | None = None,
        within_s: float = ANSWER_S,
    ) -> tuple[int, str]:
        patience = aiohttp.ClientTimeout(total=within_s, connect=CONNECT_S)
        try:
            async with self._open.request(
                method,
                f"{self.address}{path}",
                data=data,
                json=body,
                timeout=patience,
                allow_redirects=False,
            ) as answer:
                return answer.status, await answer.text(errors="replace")
        except aiohttp.ClientSSLError as error:
            msg = f"{self.address}: {shown(told(error), MOST_SAID)}; see its certificate"
            raise RunError(msg) from error
        except aiohttp.ClientConnectorError as error:
            msg = (
                f"nothing listens at {self.address}; start a head there (ray start --head), or "
                "forward its port 8265 to this machine"
            )
            raise SilentError(msg) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SilentError(self._silent(error)) from error

    def _silent(self, error: BaseException | None) -> str:
        if isinstance(error, TimeoutError):
            return f"{self.address} does not answer; see whether its head works: ray status"
        why = shown(told(error), MOST_SAID) if isinstance(error, Exception) else "it hung up"
        return f"{self.address} does not answer: {why}; see whether its head works: ray status"

    def _refuse(self, what: str, status: int, text: str) -> NoReturn:
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            wrong = "takes no jobs without its token" if not self._headers else "has another token"
            cure = f"set {TOKEN}, or {TOKEN_PATH} to its file, as ~/.ray/auth_token"
            msg = f"{self.address} {wrong}; {cure}"
            raise RunError(msg)
        if _MOVED <= status < _UNAUTHORIZED - 1:
            msg = f"{self.address} sends elsewhere ({status}); give the address itself"
            raise RunError(msg)
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        why = shown(last.strip(), MOST_SAID) or "without a reason"
        msg = f"{self.address} does not {what}: {why} ({status})"
        raise RunError(msg)


def token_of(environ: Mapping[str, str]) -> str:
    """The token of a cluster that asks for one, by Ray's own variables; "" without them.

    Raises:
        UsageError: the file that one of them names cannot be read, or it is no token.
    """
    token = environ.get(TOKEN, "").strip()
    path = environ.get(TOKEN_PATH, "")
    if not token and path:
        try:
            token = Path(path).expanduser().read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no token"
            msg = f"{TOKEN_PATH} names {path}: {reason}"
            raise UsageError(msg) from error
    if not token.isascii() or not token.isprintable():
        msg = f"what {TOKEN if environ.get(TOKEN) else TOKEN_PATH} gives is no token"
        raise UsageError(msg)
    return token


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        found = False
    if not found or parts.query or parts.fragment:
        msg = f"{address!r} is no address of a Ray dashboard; give one like http://head:8265"
        raise UsageError(msg)
    if parts.username or parts.password:
        bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        msg = f"leave user and password out of the address: {bare}; a token comes by {TOKEN}"
        raise UsageError(msg)
    return address.rstrip("/")


def _path(job: str) -> str:
    return f"/api/jobs/{quote(job, safe='')}"


def _read(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
