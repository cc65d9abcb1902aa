"""What dependencies ask of primitives: the vendor's own objects, made as the stack says.

A primitive that can be used apart from being read and written says so by one of these Protocols.
Whoever injects such an object then knows no connector, and a primitive of your own is as good as
ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Env

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ("BucketPrimitive", "DatabasePrimitive", "DialledDatabase", "connector_of")


@runtime_checkable
class BucketPrimitive(Protocol):
    """A bucket of a vendor whose SDK has an object for it."""

    def vendor_bucket(self, env: Env, *, quota_project: str | None, region: str | None) -> Any:
        """The SDK's own object, for this caller alone; blocks where a client has to be made.

        `quota_project` is billed for what is done with it, on Google Cloud; `region` is where it
        is looked for, on AWS, if not where the primitive says. Whether the bucket is there is not
        asked.

        Raises:
            PermanentError: no credentials, or no region, are known.
        """
        ...


@runtime_checkable
class DatabasePrimitive(Protocol):
    """A database that SQLAlchemy can connect to."""

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    def sql_url(
        self, env: Env, user: str | None, password: Secret | None, *, is_async: bool
    ) -> URL | str:
        """Where it is, with a driver that fits; blocks where that has to be asked for.

        Raises:
            PermanentError: it cannot be told.
        """
        ...


@runtime_checkable
class DialledDatabase(DatabasePrimitive, Protocol):
    """A database that in some stacks only its vendor's own connector reaches."""

    def connector(
        self, env: Env, user: str | None, password: Secret | None, *, is_async: bool
    ) -> Callable[[], Any] | None:
        """What gives a new connection of the driver that `sql_url` names, when it is called.

        With `is_async` it gives an awaitable of one. None where the URL is all that is needed.
        Blocks while the connector is loaded.

        Raises:
            PermanentError: credentials are missing.
        """
        ...


def connector_of(
    database: DatabasePrimitive,
    env: Env,
    user: str | None,
    password: Secret | None,
    *,
    is_async: bool,
) -> Callable[[], Any] | None:
    """The connector of a database, if it has one and needs it. Raises as `connector`."""
    if not isinstance(database, DialledDatabase):
        return None
    return database.connector(env, user, password, is_async=is_async)
