"""The HTTP interface: who may ask, what is packed, and how faults are told.

What is served is what clients of the interface use: statements, INSERTs in any format, parameters,
settings, packed bodies and answers. A session's id is taken, and means nothing: there are no
temporary tables. External tables (multipart) are refused by name.
Source: ClickHouse documentation, "HTTP interface".
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import json
import time
import uuid
from collections.abc import Mapping

import lz4.frame
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.clickhouse.engine import Engine, Result
from buildflow_nb.local_cloud.clickhouse.statement import FaultError, Statement, read_statement
from buildflow_nb.local_cloud.clickhouse.store import USER

__all__ = ("Front",)

MOST_BYTES = 256 << 20  # of a body
PACKED_BYTES = 4096  # answers from this size on are packed, if the client takes them so
_STATUS = {60: 404, 81: 404, 516: 403}
_OURS = 1000  # codes from here on are no fault of the statement


class Front:
    """The server's routes over an engine."""

    def __init__(self, engine: Engine, password: Secret) -> None:
        self._engine = engine
        self._password = password
        self._timezone = "UTC"

    def application(self) -> web.Application:
        """The application to be served."""
        application = web.Application(client_max_size=MOST_BYTES)
        application.router.add_get("/ping", self._ping)
        application.router.add_route("*", "/", self._answer)
        return application

    async def _ping(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text="Ok.\n")

    async def _answer(self, request: web.Request) -> web.Response:
        head = {
            "X-ClickHouse-Server-Display-Name": "buildflow-local",
            "X-ClickHouse-Query-Id": request.query.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._timezone,
        }
        began = time.perf_counter_ns()
        try:
            statement = await self._statement(request)
            result = await self._engine.run(statement)
        except FaultError as fault:
            head["X-ClickHouse-Exception-Code"] = str(fault.code)
            status = _STATUS.get(fault.code, 400 if fault.code < _OURS else 500)
            return web.Response(status=status, text=str(fault), headers=head)
        head["X-ClickHouse-Format"] = statement.format
        head["X-ClickHouse-Summary"] = _summary(statement, result, began)
        data, coding = _packed(result.data, request)
        if coding:
            head["Content-Encoding"] = coding
        return web.Response(body=data, headers=head)

    async def _statement(self, request: web.Request) -> Statement:
        self._demand_allowed(request)
        if (request.content_type or "").startswith("multipart/"):
            raise FaultError(48, "external tables are not served here. (NOT_IMPLEMENTED)")
        try:
            body = await request.read() if request.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            raise FaultError(1000, f"a body of more than {MOST_BYTES >> 20} MiB") from None
        except (OSError, ValueError, HttpProcessingError, web.RequestPayloadError) as error:
            raise FaultError(27, f"the body cannot be unpacked: {error}") from error
        return read_statement(request.query, request.headers, _unpacked(body, request.headers))

    def _demand_allowed(self, request: web.Request) -> None:
        user = request.headers.get("X-ClickHouse-User") or request.query.get("user", "")
        key = request.headers.get("X-ClickHouse-Key") or request.query.get("password", "")
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            try:
                user, _, key = base64.b64decode(given[6:]).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                user = ""
        right = hmac.compare_digest(key.encode(), self._password.reveal().encode())
        if user != USER or not right:
            text = f"{user or 'nobody'}: Authentication failed. (AUTHENTICATION_FAILED)"
            raise FaultError(516, text)


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body; all encodings but this one are undone by aiohttp."""
    if headers.get("Content-Encoding", "").lower() != "lz4":
        return body
    try:
        found: bytes = lz4.frame.decompress(body)
    except RuntimeError as error:  # a client that failed while it wrote leaves half a frame
        raise FaultError(27, f"bad lz4 frame: {error}") from None
    return found


def _packed(data: bytes, request: web.Request) -> tuple[bytes, str]:
    if request.query.get("enable_http_compression") != "1" or len(data) < PACKED_BYTES:
        return data, ""
    accepted = request.headers.get("Accept-Encoding", "")
    if "lz4" in accepted:
        return lz4.frame.compress(data), "lz4"
    return (gzip.compress(data, 1), "gzip") if "gzip" in accepted else (data, "")


def _summary(statement: Statement, result: Result, began: int) -> str:
    counted = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": 0,
        "written_bytes": len(statement.rows or b""),
        "total_rows_to_read": 0,
        "result_rows": 0,
        "result_bytes": len(result.data),
        "elapsed_ns": time.perf_counter_ns() - began,
    }
    return json.dumps({name: str(count) for name, count in counted.items()})
