"""The server: fakesnow's application, which lets nobody in without the password.

fakesnow takes any login. Here a login has to have the stack's password; whoever has none gets
Snowflake's own answer. Everything else needs the token of a session, but for files: their client
sends no token, so the address that it is given for a file is signed, and good for that file alone.
Bodies are bounded. Databases and stages are there after a restart, with the files of stages.
"""

from __future__ import annotations

import hmac
import importlib
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fakesnow.instance import FakeSnow
from fakesnow.transforms import stage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import make_private
from buildflow_nb.local_cloud.snowflake.guard import (
    LOGIN,
    MOST_LOGIN_BYTES,
    SIGNATURE,
    Guard,
    Signatures,
    unpacked,
)
from buildflow_nb.local_cloud.snowflake.statements import Pipes, Stages, teach

__all__ = ("application",)

REFUSED = "390100"  # incorrect username or password


def application(state: Path, password: Secret) -> Starlette:
    """The application on a state folder."""
    server: Any = importlib.import_module(
        "fakesnow.server"
    )  # the package has one of this name, too
    data, files = state / "data", state / "stages"
    make_private(data)
    make_private(files)
    _quieten(server)
    server.shared_fs = FakeSnow(db_path=str(data))
    stage.LOCAL_BUCKET_PATH = str(files)
    stages = Stages(state / "stages.parquet")
    teach(Pipes(state / "pipes.json"), stages)
    _restore(server.shared_fs, data, stages)

    signatures = Signatures()
    _sign_addresses(server, signatures)

    async def login(request: Request) -> Response:
        if not hmac.compare_digest(await _given(request), password.reveal().encode()):
            body = {
                "data": {"authnMethod": "USERNAME_PASSWORD"},
                "code": REFUSED,
                "message": "Incorrect username or password was specified.",
                "success": False,
                "headers": None,
            }
            return JSONResponse(body)
        answer: Response = await server.login_request(request)
        return answer

    routes = [route for route in server.routes if route.path != LOGIN]
    made = Starlette(routes=[Route(LOGIN, login, methods=["POST"]), *routes])
    guard = Guard(made, signatures, lambda token: token in server.sessions)
    return Starlette(routes=[Mount("/", guard)])


def _quieten(server: Any) -> None:
    """Let the log tell of faults alone, and without the text of statements, which has values."""

    def without_text(record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        record.msg, record.args = f"a statement failed: {kind.__name__ if kind else 'unknown'}", ()
        record.exc_info = record.exc_text = None
        return True

    server.logger.setLevel(logging.ERROR)
    server.logger.addFilter(without_text)
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it shows what it cannot parse


def _sign_addresses(server: Any, signatures: Signatures) -> None:
    """Let the addresses that clients put files to have a signature each."""
    plain = server.gcs_stage_info

    def gcs_stage_info(*arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = plain(*arguments)
        address = found["presignedUrl"]
        found["presignedUrl"] = f"{address}?{SIGNATURE}={signatures.of(urlsplit(address).path)}"
        return found

    server.gcs_stage_info = gcs_stage_info


def _restore(instance: FakeSnow, data: Path, stages: Stages) -> None:
    """Let it know the databases and stages of the state folder."""
    cursor = instance.connect().cursor()
    for file in sorted(data.glob("*.db")):
        name = file.stem.replace('"', '""')
        cursor.execute(f'CREATE DATABASE IF NOT EXISTS "{name}"')
    stages.restore(instance.duck_conn)


async def _given(request: Request) -> bytes:
    """The password of a login; empty where there is none."""
    body = await request.body()  # kept by the request, which the next reader gets it from
    try:
        if request.headers.get("Content-Encoding") == "gzip":
            body = unpacked(body, MOST_LOGIN_BYTES)
        found: Any = json.loads(body)["data"]["PASSWORD"]
        asked = json.loads(body)["data"].get("SESSION_PARAMETERS") or {}
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return b""
    if "FAKESNOW_DB_PATH" in asked:  # fakesnow's own, by which a client chooses a folder
        return b""
    return found.encode() if isinstance(found, str) else b""
