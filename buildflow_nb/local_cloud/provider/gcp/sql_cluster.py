"""Cloud SQL on the local cloud: the instances, databases and users of one Postgres cluster.

An instance is a row of a table of ours and nothing else, so it starts at once and costs nothing.
Its databases and users are those of the cluster whose names begin with the instance's and a colon,
since both are one namespace to Postgres; who connects by the flow's primitives never sees that.
Databases belong to the group `cloudsqlsuperuser`, as Cloud SQL's do, and every user is in it.

Source: Cloud SQL documentation, "About PostgreSQL users and roles"; PostgreSQL documentation,
"SQL Commands".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain

__all__ = ("SqlCluster", "within")

OWN = "postgres"  # the superuser, and the database of our table
GROUP = "cloudsqlsuperuser"
PASSING = ("starting up", "Connection refused")  # of one that was started this moment
CONNECT_S = 10
AGAIN_S = 0.05
CALL_MS = 10_000
LONGEST = 63  # bytes of a name; Postgres cuts longer ones
THERE = ("42P04", "42710", "42P06", "42P07", "23505")
GONE = ("3D000", "42704")


class SqlCluster:
    """Calls on the cluster at an address; `address` starts it where it does not run."""

    def __init__(self, address: Callable[[], str], password: Callable[[], Secret]) -> None:
        self._address = address
        self._password = password

    def instance(self, name: str) -> dict[str, Any] | None:
        """What is known of an instance."""
        with self._connected() as run:
            _make_table(run)
            rows = run("SELECT body FROM buildflow.sql_instances WHERE name = %s", [name])
        return None if not rows else dict(rows[0][0])

    def put_instance(self, name: str, body: Mapping[str, Plain], *, new: bool) -> None:
        """Note an instance.

        Raises:
            InfraError: a new one is there already.
        """
        with self._connected() as run:
            _make_table(run)
            text = json.dumps(body)
            if new:
                noted = run(
                    "INSERT INTO buildflow.sql_instances VALUES (%s, %s) ON CONFLICT DO NOTHING "
                    "RETURNING true",
                    [name, text],
                )
            else:
                noted = run(
                    "UPDATE buildflow.sql_instances SET body = %s WHERE name = %s RETURNING true",
                    [text, name],
                )
        if not noted:
            what = "is there already; import it, or give another name" if new else "is not there"
            msg = f"the instance {name!r} {what}"
            raise InfraError(msg)

    def drop_instance(self, name: str) -> None:
        """Take an instance away with all that is in it, as Cloud SQL does."""
        for database in self.databases(name):
            self.drop_database(name, database)
        for user in self.users(name):
            self.drop_user(name, user)
        with self._connected() as run:
            _make_table(run)
            run("DELETE FROM buildflow.sql_instances WHERE name = %s", [name])

    def databases(self, instance: str) -> dict[str, tuple[str, str]]:
        """The databases of an instance, with encoding and collation."""
        with self._connected() as run:
            rows = run(
                "SELECT datname, pg_encoding_to_char(encoding), datcollate FROM pg_database "
                "WHERE starts_with(datname, %s)",
                [f"{instance}:"],
            )
        return {name.partition(":")[2]: (encoding, collate) for name, encoding, collate in rows}

    def create_database(
        self, instance: str, name: str, charset: str | None, collation: str | None
    ) -> None:
        """Make a database of an instance.

        Raises:
            InfraError: the instance is not there, the database is, or a locale is missing.
        """
        from psycopg.sql import SQL, Identifier, Literal

        self._demand(instance)
        parts = [
            SQL("CREATE DATABASE {} OWNER {}").format(
                Identifier(within(instance, name)), Identifier(GROUP)
            )
        ]
        if charset or collation:
            parts.append(SQL("TEMPLATE template0").format())
        if charset:
            parts.append(SQL("ENCODING {}").format(Literal(charset)))
        if collation:
            parts.append(SQL("LC_COLLATE {0} LC_CTYPE {0}").format(Literal(collation)))
        statement = SQL(" ").join(parts)
        with self._connected() as run:
            run(statement, there=f"the database {name!r} of {instance!r} is there already")

    def drop_database(self, instance: str, name: str) -> None:
        """Take a database away, whoever is connected."""
        from psycopg.sql import SQL, Identifier

        statement = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self._connected() as run:
            run(statement.format(Identifier(within(instance, name))))

    def users(self, instance: str) -> tuple[str, ...]:
        """The users of an instance."""
        with self._connected() as run:
            found = run(
                "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"{instance}:"]
            )
        return tuple(name.partition(":")[2] for (name,) in found)

    def create_user(self, instance: str, name: str, password: str | None) -> None:
        """Make a user of an instance.

        Raises:
            InfraError: the instance is not there, or the user is.
        """
        from psycopg.sql import SQL, Identifier

        self._demand(instance)
        statement = SQL("CREATE ROLE {} LOGIN REPLICATION{} IN ROLE {}").format(
            Identifier(within(instance, name)), _password_words(password), Identifier(GROUP)
        )
        with self._connected() as run:
            run(statement, there=f"the user {name!r} of {instance!r} is there already")

    def set_password(self, instance: str, name: str, password: str | None) -> None:
        """Give a user another password; None lets nobody in."""
        from psycopg.sql import SQL, Identifier

        words = _password_words(password) if password else SQL(" PASSWORD NULL")
        with self._connected() as run:
            run(SQL("ALTER ROLE {}{}").format(Identifier(within(instance, name)), words))

    def drop_user(self, instance: str, name: str) -> None:
        """Take a user away; what it has made stays, and is the group's."""
        from psycopg.sql import SQL, Identifier

        role = Identifier(within(instance, name))
        if name not in self.users(instance):
            return
        places = [within(instance, database) for database in self.databases(instance)]
        for place in (*places, OWN):
            with self._connected(place) as run:
                run(SQL("REASSIGN OWNED BY {} TO {}").format(role, Identifier(GROUP)), ok=GONE)
                run(SQL("DROP OWNED BY {}").format(role), ok=GONE)
        with self._connected() as run:
            run(SQL("DROP ROLE IF EXISTS {}").format(role))

    def _demand(self, instance: str) -> None:
        """Make the group of all users, in an instance that has to be there.

        Raises:
            InfraError: it is not.
        """
        from psycopg.sql import SQL, Identifier

        if self.instance(instance) is None:
            msg = f"there is no instance {instance!r} here; manage it, too"
            raise InfraError(msg)
        with self._connected() as run:
            if not run("SELECT 1 FROM pg_roles WHERE rolname = %s", [GROUP]):
                run(SQL("CREATE ROLE {} CREATEDB CREATEROLE").format(Identifier(GROUP)), ok=THERE)

    @contextmanager
    def _connected(self, database: str = OWN) -> Iterator[Any]:
        """What carries a statement out in a database; one that is gone takes none.

        Raises:
            InfraError: it cannot be reached, or refuses; says why in one line.
        """
        connection = self._dialled(database)
        if connection is None:
            yield lambda *_, **__: []
            return
        with connection:
            yield lambda *given, **words: _carried_out(connection, *given, **words)

    def _dialled(self, database: str) -> Any:
        """A connection, None to a database that is gone; waits while Postgres recovers.

        Raises:
            InfraError: it cannot be reached.
        """
        import psycopg

        parts = urlsplit(self._address())
        deadline = time.monotonic() + CONNECT_S
        while True:
            try:
                return psycopg.connect(
                    host=parts.hostname,
                    port=parts.port,
                    user=OWN,
                    password=self._password().reveal(),
                    dbname=database,
                    autocommit=True,
                    connect_timeout=CONNECT_S,
                    sslmode="disable",
                    gssencmode="disable",
                    options=f"-c statement_timeout={CALL_MS}",
                )
            except psycopg.Error as error:
                if database != OWN and "does not exist" in str(error):
                    return None
                passes = any(said in str(error) for said in PASSING)
                if not passes or time.monotonic() > deadline:
                    raise InfraError(_told(error)) from None  # the cause may hold the password
            time.sleep(AGAIN_S)


def within(instance: str, name: str) -> str:
    """The name in the cluster of what an instance calls so.

    Raises:
        InfraError: both are too long together.
    """
    full = f"{instance}:{name}"
    if len(full.encode()) > LONGEST:
        msg = f"{name!r} of the instance {instance!r}: both have at most {LONGEST - 1} bytes here"
        raise InfraError(msg)
    return full


def _carried_out(
    connection: Any,
    statement: Any,
    values: Any = None,
    *,
    there: str = "",
    ok: tuple[str, ...] = (),
) -> list[Any]:
    import psycopg

    try:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state in ok:
            return []
        if there and state in THERE:
            msg = f"{there}; import it, or give another name"
            raise InfraError(msg) from None
        raise InfraError(_told(error)) from None  # a cause shows its statement, with a password


def _make_table(run: Any) -> None:
    run("CREATE SCHEMA IF NOT EXISTS buildflow", ok=THERE)
    table = "CREATE TABLE IF NOT EXISTS buildflow.sql_instances (name text PRIMARY KEY, body jsonb)"
    run(table, ok=THERE)


def _password_words(password: str | None) -> Any:
    from psycopg.sql import SQL, Literal

    return SQL(" PASSWORD {}").format(Literal(password)) if password else SQL("")


def _told(error: BaseException) -> str:
    """The first line of an error: the further ones show the statement."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return f"the local cloud's Postgres: {first}"
