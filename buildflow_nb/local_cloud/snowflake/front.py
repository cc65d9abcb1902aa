"""The server: fakesnow's application, which lets nobody in without the password.

fakesnow takes any login. Here a login has to have the stack's password; whoever has none gets
Snowflake's own answer. Databases and stages are there after a restart, with the files of stages.
"""

from __future__ import annotations

import gzip
import hmac
import importlib
import json
from pathlib import Path
from typing import Any

from fakesnow.instance import FakeSnow
from fakesnow.transforms import stage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import make_private
from buildflow_nb.local_cloud.snowflake.statements import Pipes, Stages, teach

__all__ = ("application",)

LOGIN = "/session/v1/login-request"
REFUSED = "390100"  # incorrect username or password
MOST_BYTES = 1 << 20  # of a login


def application(state: Path, password: Secret) -> Starlette:
    """The application on a state folder."""
    server: Any = importlib.import_module(
        "fakesnow.server"
    )  # the package has one of this name, too
    data, files = state / "data", state / "stages"
    make_private(data)
    make_private(files)
    server.shared_fs = FakeSnow(db_path=str(data))
    stage.LOCAL_BUCKET_PATH = str(files)
    stages = Stages(state / "stages.parquet")
    teach(Pipes(state / "pipes.json"), stages)
    _restore(server.shared_fs, data, stages)

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
    return Starlette(routes=[Route(LOGIN, login, methods=["POST"]), *routes])


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
            body = gzip.decompress(body[:MOST_BYTES])
        found: Any = json.loads(body)["data"]["PASSWORD"]
        asked = json.loads(body)["data"].get("SESSION_PARAMETERS") or {}
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return b""
    if "FAKESNOW_DB_PATH" in asked:  # fakesnow's own, by which a client chooses a folder
        return b""
    return found.encode() if isinstance(found, str) else b""
