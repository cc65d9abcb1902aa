"""Sessions of SQLAlchemy: one for each call, over an engine for each replica.

At the end of a call its session is closed, which rolls back what was not committed; at the end of a
replica the engine lets its connections go. So a call that fails leaves nothing half done, and one
that forgets to close leaks nothing.

A database is named by a URL (of any kind that SQLAlchemy knows, also in a `Secret`) or by a
primitive. For sqlite a relative path starts at the flow's folder, as every path does, and a
database in memory is one for the whole replica, whose calls take turns. Passwords are in no
message of ours, and in none of SQLAlchemy's, which masks them in URLs.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.credentials import GCPCredentials, Secret
from buildflow_nb.core.errors import DeclarationError, told
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Env, label_of
from buildflow_nb.core.primitive_clients import DatabasePrimitive, connector_of
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.dependencies.daemon_thread import in_thread

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

__all__ = ("AsyncSessionDepBuilder", "SessionDepBuilder", "async_engine", "engine")

EXTRA = "buildflow-nb[sql]"
# A plain "postgresql://" names no driver; SQLAlchemy's own choice for it cannot be awaited.
ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def engine(
    db: object,
    db_user: str | None = None,
    db_password: Secret | str | None = None,
    credentials: Any = None,
    **kwargs: Any,
) -> "Engine":
    """An engine for a database, to be disposed of by the caller; connects when it is first used.

    `db` is a URL or a primitive; user and password are put into the URL. `credentials` are those of
    a `GCPCredentials`, for primitives that need some. Further words go to `create_engine`.

    Raises:
        DeclarationError: it is no database, or SQLAlchemy or a driver is missing.
    """
    made: Engine = _made(_Database(db, db_user, db_password), _env_with(credentials), kwargs)
    return made


def async_engine(
    db: object,
    db_user: str | None = None,
    db_password: Secret | str | None = None,
    credentials: Any = None,
    **kwargs: Any,
) -> "AsyncEngine":
    """As `engine`, for asyncio: sqlite goes by aiosqlite then, postgresql by asyncpg.

    Raises:
        DeclarationError: as `engine`.
    """
    database = _Database(db, db_user, db_password)
    made: AsyncEngine = _made_async(database, _env_with(credentials), kwargs)
    return made


def SessionDepBuilder(  # noqa: N802  (BuildFlow's name and parameters)
    db_primitive: object,
    db_user: str | None = None,
    db_password: Secret | str | None = None,
    expire_on_commit: bool = False,
    autoflush: bool = False,
    **kwargs: Any,
) -> Any:
    """Make a dependency whose `.session` is a `Session` for one call.

    Further words go to `create_engine`.

    Raises:
        DeclarationError: it is no database.
    """
    database = _Database(db_primitive, db_user, db_password)

    @dependency(Scope.REPLICA)
    class SessionMaker:
        """The engine of a replica, and what makes sessions over it."""

        make: "Callable[[], Session]"

        async def __init__(self, env: Env) -> None:  # type: ignore[misc]  # it is awaited
            self.engine = await in_thread(lambda: _made(database, env, kwargs), "database")
            from sqlalchemy.orm import sessionmaker

            self.make = sessionmaker(
                self.engine, autoflush=autoflush, expire_on_commit=expire_on_commit
            )

        async def aclose(self) -> None:
            """Let all connections go."""
            await in_thread(self.engine.dispose, "database")

        @classmethod
        async def check(cls, env: Env) -> list[Finding]:
            """Whether the database can be reached."""
            return [await in_thread(lambda: _look(database, env, kwargs), "database")]

    @dependency(Scope.PROCESS)
    class SessionDependency:
        """`.session` is a `Session` for one call, closed at its end."""

        __buildflow_primitive__ = database.primitive

        def __init__(self, maker: SessionMaker) -> None:
            self.session = maker.make()

        def close(self) -> None:
            """Roll back what was not committed, and give the connection back."""
            self.session.close()

    return SessionDependency


def AsyncSessionDepBuilder(  # noqa: N802  (BuildFlow's name and parameters)
    db_primitive: object,
    db_user: str | None = None,
    db_password: Secret | str | None = None,
    expire_on_commit: bool = False,
    autoflush: bool = False,
    **kwargs: Any,
) -> Any:
    """Make a dependency whose `.session` is an `AsyncSession` for one call.

    Further words go to `create_async_engine`.

    Raises:
        DeclarationError: it is no database.
    """
    database = _Database(db_primitive, db_user, db_password)

    @dependency(Scope.REPLICA)
    class AsyncSessionMaker:
        """The engine of a replica, and what makes sessions over it."""

        make: "Callable[[], AsyncSession]"

        async def __init__(self, env: Env) -> None:  # type: ignore[misc]  # it is awaited
            self.engine = await in_thread(lambda: _made_async(database, env, kwargs), "database")
            from sqlalchemy.ext.asyncio import async_sessionmaker

            self.make = async_sessionmaker(
                self.engine, autoflush=autoflush, expire_on_commit=expire_on_commit
            )

        async def aclose(self) -> None:
            """Let all connections go."""
            await self.engine.dispose()

        @classmethod
        async def check(cls, env: Env) -> list[Finding]:
            """Whether the database can be reached."""
            return [await _look_async(database, env, kwargs)]

    @dependency(Scope.PROCESS)
    class AsyncSessionDependency:
        """`.session` is an `AsyncSession` for one call, closed at its end."""

        __buildflow_primitive__ = database.primitive

        def __init__(self, maker: AsyncSessionMaker) -> None:
            self.session = maker.make()

        async def aclose(self) -> None:
            """Roll back what was not committed, and give the connection back."""
            await self.session.close()

    return AsyncSessionDependency


class _Database:
    """A database as it was named: a primitive, or a URL that nothing prints.

    Raises:
        DeclarationError: it is neither.
    """

    def __init__(self, named: Any, user: str | None, password: Secret | str | None) -> None:
        self.primitive: DatabasePrimitive | None = None
        self.url: Any = None
        self.user = user
        self.password = Secret(password) if isinstance(password, str) else password
        if isinstance(named, str):
            self.url = Secret(named)
        elif isinstance(named, Secret) or _is_url(named):
            self.url = named
        elif isinstance(named, DatabasePrimitive) and not isinstance(named, type):
            self.primitive = named
        else:
            what = getattr(named, "__name__", None) or label_of(named)
            msg = f"a database is a URL or a primitive that SQLAlchemy can connect to, not {what}"
            raise DeclarationError(msg)

    def located(self, env: Env, *, is_async: bool) -> "URL":
        """Where it is, complete.

        Raises:
            DeclarationError: the URL is none.
        """
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        if self.primitive is not None:
            named: Any = self.primitive.sql_url(env, self.user, self.password, is_async=is_async)
        else:
            named = self.url.reveal() if isinstance(self.url, Secret) else self.url
        try:
            url = make_url(named)
        except (ArgumentError, ValueError):
            msg = "the URL of the database is none; it looks like postgresql://host:5432/name"
            raise DeclarationError(msg) from None  # the cause may hold the password
        if self.primitive is None and self.user is not None:
            url = url.set(username=self.user)
        if self.primitive is None and self.password is not None:
            url = url.set(password=self.password.reveal())
        if is_async:
            url = url.set(drivername=ASYNC_DRIVERS.get(url.drivername, url.drivername))
        if url.get_backend_name() == "sqlite" and not _in_memory(url):
            url = url.set(database=_placed(url, env))
        return url

    def connector(self, env: Env, *, is_async: bool) -> Callable[[], Any] | None:
        """What gives a connection where the URL alone does not lead to one."""
        if self.primitive is None:
            return None
        return connector_of(self.primitive, env, self.user, self.password, is_async=is_async)


def _is_url(named: object) -> bool:
    """Whether it is SQLAlchemy's own URL (told by its module, so that it stays unloaded)."""
    return type(named).__module__ == "sqlalchemy.engine.url"


def _in_memory(url: "URL") -> bool:
    return url.database in (None, "", ":memory:") or url.query.get("mode") == "memory"


def _placed(url: "URL", env: Env) -> str:
    """The path of a sqlite file; one of sqlite's own `file:` addresses stays as it is."""
    database = str(url.database)
    return database if database.startswith("file:") else str(env.folder / database)


def _made(database: _Database, env: Env, words: dict[str, Any]) -> Any:
    return _create("create_engine", database, env, words, is_async=False)


def _made_async(database: _Database, env: Env, words: dict[str, Any]) -> Any:
    return _create("create_async_engine", database, env, words, is_async=True)


_loading = threading.Lock()  # two replicas may want it at once


def _create(
    name: str, database: _Database, env: Env, words: dict[str, Any], *, is_async: bool
) -> Any:
    """Make an engine; blocks while SQLAlchemy and the driver are loaded.

    Raises:
        DeclarationError: one of them is missing, or the URL or a word is wrong.
    """
    try:
        with _loading:
            import sqlalchemy.ext.asyncio
            from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        msg = f"a session of SQLAlchemy needs the package {error.name}; pip install '{EXTRA}'"
        raise DeclarationError(msg) from error
    home = sqlalchemy.ext.asyncio if is_async else sqlalchemy
    url = database.located(env, is_async=is_async)
    if url.get_backend_name() == "sqlite" and _in_memory(url):
        words = {**_one_connection(is_async=is_async), **words}
    dial = database.connector(env, is_async=is_async)
    if dial is not None:
        words = {"async_creator" if is_async else "creator": dial, **words}
    try:
        return getattr(home, name)(url, **words)
    except ModuleNotFoundError as error:
        msg = (
            f"a database at {url.drivername}:// is reached by the module {error.name}, which is "
            f"missing; install it, or name another driver in the URL"
        )
        raise DeclarationError(msg) from error
    except (SQLAlchemyError, TypeError) as error:
        msg = f"no engine can be made for a database at {url.drivername}://: {told(error)}"
        raise DeclarationError(msg) from None  # SQLAlchemy masks passwords; a cause may not


def _look(database: _Database, env: Env, words: dict[str, Any]) -> Finding:
    """Connect to a database, and let it go again; nothing is made."""
    try:
        made = _made(database, env, words)
        if _is_to_be_made(made.url):
            return _FIRST_USE
        try:
            with made.connect():
                return Finding("database", Health.OK, f"reached at {made.url!r}")
        finally:
            made.dispose()
    except Exception as error:  # noqa: BLE001  (a driver may raise anything)
        return _unreached(error)


async def _look_async(database: _Database, env: Env, words: dict[str, Any]) -> Finding:
    try:
        made = await in_thread(lambda: _made_async(database, env, words), "database")
        if _is_to_be_made(made.url):
            return _FIRST_USE
        try:
            async with made.connect():
                return Finding("database", Health.OK, f"reached at {made.url!r}")
        finally:
            await made.dispose()
    except Exception as error:  # noqa: BLE001  (a driver may raise anything)
        return _unreached(error)


_FIRST_USE = Finding("database", Health.OK, "is made by its first use")


def _is_to_be_made(url: "URL") -> bool:
    """Whether it is a file of sqlite's that is not there: to connect would make it."""
    own = url.get_backend_name() == "sqlite" and not _in_memory(url)
    return (
        own and not str(url.database).startswith("file:") and not Path(str(url.database)).exists()
    )


def _unreached(error: Exception) -> Finding:
    said = told(error).partition("\n")[0]
    return Finding("database", Health.ERROR, f"not reached: {said}", "see its URL, and its server")


def _one_connection(*, is_async: bool) -> dict[str, Any]:
    """What keeps a database in memory one: each connection to it would be another."""
    from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

    words: dict[str, Any] = {
        "poolclass": AsyncAdaptedQueuePool if is_async else QueuePool,
        "pool_size": 1,
        "max_overflow": 0,
        "connect_args": {"check_same_thread": False},  # one thread at a time is enough
    }
    return words


def _env_with(credentials: object) -> Env:
    """Where clients connect, outside of a flow."""
    if credentials is None:
        return Env()
    if not isinstance(credentials, GCPCredentials):
        msg = f"credentials must be GCPCredentials, got {type(credentials).__name__}"
        raise DeclarationError(msg)
    return Env(gcp=credentials)
