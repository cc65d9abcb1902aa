"""A database of an instance of Cloud SQL: for sessions of SQLAlchemy, and for tables and queries.

On the real cloud it is reached by Google's connector, which brings certificates and finds the
address; on the local one by plain TCP, since it is a database of this machine's Postgres. There its
name, and those of users, begin with the instance's, which nobody who uses this has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self
from urllib.parse import quote

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import PermanentError, TemporaryError, told
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, Managed, PrimitiveId, Site
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.gcp.clients import console_url
from buildflow_nb.io.gcp.cloudsql.connector import dialler
from buildflow_nb.io.gcp.cloudsql.instance import CloudSQLInstance, check_name
from buildflow_nb.io.gcp.cloudsql.look import look_into_database
from buildflow_nb.io.looks import seen

__all__ = ("CloudSQLDatabase",)

STORE = "postgres"  # of the local cloud, and its superuser
DRIVERS = {True: "postgresql+asyncpg", False: "postgresql+psycopg"}  # by whether it is for asyncio


@dataclass(frozen=True, slots=True)
class CloudSQLDatabase(Injectable):
    """The database `database_name` of an instance.

    Raises:
        DeclarationError: a field is no text, or it has no instance.
    """

    cloud: ClassVar[str] = "gcp"

    database_name: str
    instance: CloudSQLInstance

    def __post_init__(self) -> None:
        check_name("CloudSQLDatabase", self.instance, "database_name", self.database_name)

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The database with this full name, `projects/…/instances/…/databases/…`.

        Raises:
            DeclarationError: Cloud SQL has no such names.
            ValueError: it is no such name.
        """
        _, project, _, instance, _, name = resource_id.split("/")
        return cls(name, CloudSQLInstance(instance, project))

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the instance's id."""
        return PrimitiveId(f"{self.instance.primitive_id}.{self.database_name}")

    @property
    def label(self) -> str:
        """The instance's name and the database's."""
        return f"{self.instance.label} / {self.database_name}"

    def sql_url(
        self, env: Env, user: str | None, password: Secret | None, *, is_async: bool
    ) -> str:
        """Where it is: an address on the local cloud, else a driver's name (see `connector`).

        Raises:
            PermanentError: there is no user or no password.
        """
        known, secret = self._login(user, password)
        if env.services is None:
            return f"{DRIVERS[is_async]}://"
        address = env.services.wake(STORE).partition("://")[2]
        who = f"{self._quoted(known)}:{quote(secret.reveal(), safe='')}"
        return f"{DRIVERS[is_async]}://{who}@{address}/{self._quoted(self.database_name)}"

    def connector(
        self, env: Env, user: str | None, password: Secret | None, *, is_async: bool
    ) -> Callable[[], Any] | None:
        """What gives a connection on the real cloud; None on the local one.

        Raises:
            PermanentError: there is no user or no password, or no project is known.
            DeclarationError: Google's connector is not installed.
        """
        known, secret = self._login(user, password)
        if env.services is not None:
            return None
        words = {"user": known, "password": secret, "db": self.database_name}
        return dialler(env, self.instance.connection_name(env), words, is_async=is_async)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether it is there, on the local cloud."""

        async def look() -> str:
            if env.services is None:
                return "is looked at when it runs"
            if not await on_thread(lambda: self._is_there(env)):
                msg = f"does not exist in stack {env.stack_said} (run %buildflow apply)"
                raise TemporaryError(msg)
            return "is there"

        async def woken() -> None:
            if env.services is not None:
                await on_thread(partial(env.services.wake, STORE))

        return await looked(self, look, load=woken)

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """Its tables, and how many rows they have."""
        name = f"{self.instance.instance_name}:{self.database_name}"
        return await seen(
            self,
            "Cloud SQL database",
            lambda empty: on_thread(lambda: look_into_database(name, empty, env, asked)),
            within_s=asked.within_s,
        )

    def cloud_console_url(self) -> str:
        """Where the databases of the instance are in Google's console."""
        name = self.instance.instance_name
        return console_url(f"sql/instances/{name}/databases", self.instance.project_id)

    def parents(self) -> tuple[Managed, ...]:
        """The instance."""
        return (self.instance,)

    def billed(self) -> Billed:
        """Nothing of its own."""
        return Billed("gcp:sql/database:Database", inside="its instance")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The database; gives `name`."""
        from pulumi_gcp import sql

        made = site.made(self.instance)
        database = sql.Database(
            self.primitive_id,
            name=self.database_name,
            instance=self.instance.instance_name if made is None else made["name"],
            project=self.instance.project_id,
            opts=site.gcp(self.instance.project_id),
        )
        return {"name": database.name}

    def _login(self, user: str | None, password: Secret | None) -> tuple[str, Secret]:
        if user is None or password is None:
            msg = f"CloudSQLDatabase {self.database_name!r}: give the user and the password, too"
            raise PermanentError(msg)
        return user, password

    def _quoted(self, name: str) -> str:
        return quote(f"{self.instance.instance_name}:{name}", safe="")

    def _is_there(self, env: Env) -> bool:
        """Whether the local cloud has it; blocks."""
        import psycopg

        assert env.services is not None  # noqa: S101  (it was looked at)
        address = env.services.wake(STORE)
        password = env.services.password(STORE).reveal()
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        name = f"{self.instance.instance_name}:{self.database_name}"
        words: dict[str, Any] = {"user": STORE, "password": password, "dbname": STORE}
        try:
            with psycopg.connect(address, connect_timeout=2, **words) as connection:
                return connection.execute(query, [name]).fetchone() is not None
        except psycopg.Error as error:
            msg = f"the local cloud's Postgres cannot be reached: {told(error)}"
            raise TemporaryError(msg) from None  # the cause may hold the password
