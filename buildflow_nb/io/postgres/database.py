"""Which database a primitive of Postgres speaks of, and how it is connected to.

Three ways to name one: a URL, a primitive that is a database (`DatabasePrimitive`), or nothing: the
stack's own Postgres, which the local cloud starts when it is first needed. Passwords are in no
message, name or representation.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import (
    BuildFlowError,
    DeclarationError,
    InfraError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Env, label_of
from buildflow_nb.core.primitive_clients import DatabasePrimitive, connector_of
from buildflow_nb.io.postgres.errors import fault, state_of
from buildflow_nb.io.threads import Threads

__all__ = ("CALL_S", "Database", "closed", "database_of")

CONNECT_S = 10.0
CALL_S = 60.0  # for one statement; a dead connection ends here
CLOSE_S = 2.0
OWN = "postgres"  # the local cloud's store, its superuser, and the database in it
EXTRA = "buildflow_nb[postgres]"
NOT_YET = ("3D000", "28P01")  # what a flow manages may be made by its next apply
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class Database:
    """A database as it was named; `shown` is what messages call it."""

    url: Secret | None
    primitive: DatabasePrimitive | None
    user: str | None
    password: Secret | None

    @property
    def shown(self) -> str:
        """Host, port and name, or the primitive's name, without any credentials."""
        if self.primitive is not None:
            return label_of(self.primitive)
        if self.url is None:
            return "of the stack"
        parts = urlsplit(self.url.reveal())
        place = unquote(parts.netloc).rpartition("@")[2] or "localhost"
        return f"{place}{parts.path}"

    @property
    def known_as(self) -> str:
        """What tells it apart in the ids of primitives."""
        return self.shown if self.primitive is None else str(self.primitive.primitive_id)

    async def connect(self, env: Env) -> Any:
        """A connection of asyncpg's, to be closed by `closed`; a new one each time.

        Raises:
            TemporaryError: it cannot be reached for now.
            PermanentError: credentials, name or URL are wrong.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                dial = await _in_thread(lambda: self._dialler(env))
                return await dial()
        except InfraError as error:
            raise TemporaryError(str(error)) from error
        except BuildFlowError:
            raise
        except Exception as error:
            found = fault(error, self.shown)
            if self.primitive is not None and state_of(error) in NOT_YET:
                said = str(found).partition("; ")[0]
                msg = f"{said}; is it in stack {env.stack_said}? (run %buildflow apply)"
                raise TemporaryError(msg) from error
            raise found from error

    async def load(self, env: Env) -> None:
        """Load the client, and start the stack's own server where it is that one.

        Raises:
            InfraError: it cannot be started.
            PermanentError: nothing says which database it is.
        """
        await _in_thread(lambda: self._dialler(env))

    def _dialler(self, env: Env) -> Callable[[], Awaitable[Any]]:
        """What connects; blocks while the client is loaded or the store is started."""
        import asyncpg

        if self.primitive is not None:
            connector = connector_of(self.primitive, env, self.user, self.password, is_async=True)
            if connector is not None:
                return connector
        url = self._url(env)
        local = {"ssl": False} if self.url is None and env.services is not None else {}
        return lambda: asyncpg.connect(url, timeout=CONNECT_S, command_timeout=CALL_S, **local)

    def _url(self, env: Env) -> str:
        if self.primitive is not None:
            found = self.primitive.sql_url(env, self.user, self.password, is_async=True)
            shown = found if isinstance(found, str) else found.render_as_string(hide_password=False)
            return _plain(shown)
        if self.url is not None:
            return _plain(self.url.reveal())
        if env.services is None:
            msg = (
                "no Postgres is named, and only the local cloud has one of its own; give "
                "url='postgresql://…' or database="
            )
            raise PermanentError(msg)
        address = env.services.wake(OWN).partition("://")[2]
        password = quote(env.services.password(OWN).reveal(), safe="")
        return f"postgresql://{OWN}:{password}@{address}/{OWN}"


def database_of(
    owner: str, url: object, database: object, user: object, password: object
) -> Database:
    """The database that these fields of a primitive name.

    Raises:
        DeclarationError: they name none, or two; `owner` opens the message.
    """
    if importlib.util.find_spec("asyncpg") is None:
        msg = f"{owner} needs the package asyncpg; pip install '{EXTRA}'"
        raise DeclarationError(msg)
    if url is not None and database is not None:
        msg = f"{owner}: give url or database, not both"
        raise DeclarationError(msg)
    if database is not None and (
        isinstance(database, type) or not isinstance(database, DatabasePrimitive)
    ):
        msg = f"{owner}: database must be a primitive like CloudSQLDatabase, got {database!r}"
        raise DeclarationError(msg)
    for name, value in (("user", user), ("password", password)):
        if value is not None and database is None:
            msg = f"{owner}: {name} is for database=; put it into the URL"
            raise DeclarationError(msg)
    if user is not None and not isinstance(user, str):
        msg = f"{owner}: user must be a text, got {type(user).__name__}"
        raise DeclarationError(msg)
    return Database(
        None if url is None else _checked_url(owner, url),
        database,
        user,
        _secret(owner, "password", password),
    )


async def closed(connection: Any) -> None:
    """Close a connection, whatever its state is."""
    try:
        await connection.close(timeout=CLOSE_S)
    except Exception:  # noqa: BLE001  (it is let go of, whatever its client says)
        with suppress(Exception):
            connection.terminate()


def _checked_url(owner: str, url: object) -> Secret:
    secret = _secret(owner, "url", url)
    assert secret is not None  # noqa: S101  (only None gives None)
    try:
        parts = urlsplit(secret.reveal())
        behind = f"{parts.path}{parts.query}{parts.fragment}"
        if "@" in behind:  # the password ended the address early, and its rest counts as a name
            msg = (
                f"{owner}: url has an @ behind its host; in user, password and name write "
                "/ as %2F, ? as %3F, # as %23 and @ as %40"
            )
            raise DeclarationError(msg)
        known = parts.scheme.partition("+")[0] in SCHEMES and parts.port != 0
    except ValueError:
        known = False
    if not known:
        msg = f"{owner}: url must look like postgresql://user:password@host:5432/name"
        raise DeclarationError(msg) from None  # the cause may hold the password
    return secret


def _secret(owner: str, name: str, value: object) -> Secret | None:
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    msg = f"{owner}: {name} must be a text or a Secret, got {type(value).__name__}"
    raise DeclarationError(msg)


def _plain(url: str) -> str:
    """A URL without SQLAlchemy's name of a driver."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=SCHEMES[0]))


async def _in_thread(call: Callable[[], Any]) -> Any:
    threads = Threads("postgres", 1)
    future = threads.submit(call)
    threads.close()
    return await asyncio.wrap_future(future)
