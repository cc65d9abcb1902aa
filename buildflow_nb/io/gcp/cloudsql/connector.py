"""Google's connector to Cloud SQL: connections with certificates, to an address that it finds.

One connector serves all connections of the same credentials: it keeps certificates, which are dear.
One for asyncio belongs to a loop. They fetch a certificate when a connection needs it, never in the
background, so that nothing goes on when nobody connects.

Source: cloud-sql-python-connector, README.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.gcp.clients import credentials

__all__ = ("dialler",)

EXTRA = "buildflow_nb[cloudsql]"
CONNECT_S = 30
_lock = threading.Lock()
_connectors: dict[Secret | None, Any] = {}
_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Secret | None, Any]] = (
    WeakKeyDictionary()
)


def dialler(
    env: Env, instance: str, words: Mapping[str, object], *, is_async: bool
) -> Callable[[], Any]:
    """What gives a new connection to an instance, of asyncpg or psycopg; blocks for its loading.

    Raises:
        DeclarationError: the connector is not installed.
        PermanentError: the service account's JSON is none.
    """
    if importlib.util.find_spec("google.cloud.sql") is None:
        msg = f"Cloud SQL needs Google's connector; pip install '{EXTRA}'"
        raise DeclarationError(msg)
    found, account = credentials(env), env.gcp.service_account_info

    def given() -> dict[str, Any]:
        return {n: v.reveal() if isinstance(v, Secret) else v for n, v in words.items()}

    if not is_async:
        connector = _shared(account, found)
        return lambda: connector.connect(instance, "psycopg", **given())

    async def dial() -> Any:
        own = await _of_loop(account, found)
        connecting: Awaitable[Any] = own.connect_async(instance, "asyncpg", **given())
        return await connecting

    return dial


def _shared(account: Secret | None, found: Any) -> Any:
    with _lock:
        if account not in _connectors:
            _connectors[account] = _class()(
                credentials=found, refresh_strategy="LAZY", timeout=CONNECT_S
            )
        return _connectors[account]


async def _of_loop(account: Secret | None, found: Any) -> Any:
    loop = asyncio.get_running_loop()
    own = _of_loops.setdefault(loop, {})
    if account not in own:
        own[account] = _class()(
            credentials=found, loop=loop, refresh_strategy="LAZY", timeout=CONNECT_S
        )
    return own[account]


def _class() -> Any:
    # By name: with an import of it mypy would take Google's other packages for missing.
    return importlib.import_module("google.cloud.sql.connector").Connector
