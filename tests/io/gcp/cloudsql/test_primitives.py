"""Instances, databases and users of Cloud SQL as they are declared, and how they are reached."""

from __future__ import annotations

import asyncio
import importlib
from typing import ClassVar

import pytest
import sqlalchemy

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import (
    DeclarationError,
    InfraError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.findings import Health
from buildflow_nb.core.primitive import Dependent, Env, Managed
from buildflow_nb.core.primitive_clients import DatabasePrimitive, DialledDatabase, connector_of
from buildflow_nb.dependencies.sqlalchemy import engine
from buildflow_nb.io.gcp import CloudSQLDatabase, CloudSQLInstance, CloudSQLUser
from buildflow_nb.io.gcp.cloudsql import connector
from buildflow_nb.io.postgres import PostgresTable
from buildflow_nb.types.gcp import CloudSQLDatabaseVersion, CloudSQLInstanceSettings
from tests.io.contract import ConfigContract, pushed, run

INSTANCE = CloudSQLInstance(
    "shop",
    "proj",
    CloudSQLDatabaseVersion.POSTGRES_15,
    CloudSQLInstanceSettings(tier="db-f1-micro"),
    "europe-west1",
)
DATABASE = CloudSQLDatabase("orders", INSTANCE)


class Stores:
    """A stack's stores, of which nothing answers."""

    def wake(self, service):
        assert service == "postgres"
        return "postgresql://127.0.0.1:1"

    def password(self, store):
        return Secret(f"of {store}")


LOCAL = Env(cloud="local", services=Stores())


class TestInstance(ConfigContract):
    def make(self, folder):
        del folder
        settings = CloudSQLInstanceSettings(tier="db-f1-micro")
        return CloudSQLInstance("shop", "proj", "POSTGRES_15", settings, "europe-west1")


class TestDatabase(ConfigContract):
    def make(self, folder):
        return CloudSQLDatabase("orders", TestInstance().make(folder))


class TestUser(ConfigContract):
    def make(self, folder):
        return CloudSQLUser("ada", "hunter2", TestInstance().make(folder))


def test_ids_are_those_of_buildflow():
    assert INSTANCE.primitive_id == "proj:shop"
    assert DATABASE.primitive_id == "proj:shop.orders"
    assert CloudSQLUser("ada", "x", INSTANCE).primitive_id == "proj:shop.ada"


def test_what_they_are():
    user = CloudSQLUser("ada", "x", INSTANCE)
    assert isinstance(INSTANCE, Managed)
    for one in (DATABASE, user):
        assert isinstance(one, Dependent)
        assert one.parents() == (INSTANCE,)
    assert isinstance(DATABASE, DatabasePrimitive)
    assert isinstance(DATABASE, DialledDatabase)
    assert "project=proj" in INSTANCE.cloud_console_url()


def test_a_password_is_nowhere():
    user = CloudSQLUser("ada", "hunter2", INSTANCE)
    assert "hunter2" not in f"{user!r} {user.primitive_id} {user.label}"
    assert user == CloudSQLUser("ada", Secret("hunter2"), INSTANCE)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CloudSQLInstance("Upper", "p"), "up to 98 small letters"),
        (lambda: CloudSQLInstance("shop", "p", "MYSQL_8_0"), "MYSQL_8_0 is no Postgres"),
        (lambda: CloudSQLInstance("shop", 5), "project_id must be a text"),
        (lambda: CloudSQLDatabase("", INSTANCE), "database_name must be a text"),
        (lambda: CloudSQLDatabase("d", "shop"), "instance must be a CloudSQLInstance"),
        (lambda: CloudSQLUser("u", 5, INSTANCE), "password must be a text or a Secret, got int"),
        (lambda: CloudSQLUser("u", "", INSTANCE), "password must be a text or a Secret"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_declared(make, said):
    with pytest.raises(DeclarationError, match=said):
        make()


@pytest.mark.parametrize("is_async", [True, False])
def test_on_the_local_cloud_it_is_an_address(is_async):
    found = DATABASE.sql_url(LOCAL, "ada", Secret("p@s/s:w"), is_async=is_async)
    url = sqlalchemy.make_url(found)
    assert url.drivername == ("postgresql+asyncpg" if is_async else "postgresql+psycopg")
    assert (url.host, url.port) == ("127.0.0.1", 1)
    assert (url.username, url.password, url.database) == ("shop:ada", "p@s/s:w", "shop:orders")
    assert connector_of(DATABASE, LOCAL, "ada", Secret("x"), is_async=is_async) is None


def test_without_a_user_it_cannot_be_reached():
    for user, password in ((None, Secret("x")), ("ada", None)):
        with pytest.raises(PermanentError, match="'orders': give the user and the password"):
            DATABASE.sql_url(LOCAL, user, password, is_async=True)


class FakeConnector:
    """Google's connector, as far as it is called."""

    made: ClassVar[list[object]] = []

    def __init__(self, **words):
        self.words = words
        FakeConnector.made.append(self)

    def connect(self, instance, driver, **words):
        return (instance, driver, words)

    async def connect_async(self, instance, driver, **words):
        return (instance, driver, words)


@pytest.fixture
def google(monkeypatch):
    monkeypatch.setattr(
        importlib.import_module("google.cloud.sql.connector"), "Connector", FakeConnector
    )
    monkeypatch.setattr(connector, "credentials", lambda env: "the stack's")
    monkeypatch.setattr(connector, "_connectors", {})
    FakeConnector.made = []
    return FakeConnector.made


WORDS = {"user": "ada", "password": "hunter2", "db": "orders"}


def test_on_the_real_cloud_it_is_dialled_by_googles_connector(google):
    real = Env(cloud="real")
    assert (
        DATABASE.sql_url(real, "ada", Secret("hunter2"), is_async=False) == "postgresql+psycopg://"
    )
    for _ in range(2):
        dial = connector_of(DATABASE, real, "ada", Secret("hunter2"), is_async=False)
        assert dial() == ("proj:europe-west1:shop", "psycopg", WORDS)
    (made,) = google
    assert made.words["credentials"] == "the stack's"
    assert made.words["refresh_strategy"] == "LAZY"


def test_each_loop_has_a_connector_of_its_own(google):
    dial = connector_of(DATABASE, Env(), "ada", Secret("hunter2"), is_async=True)

    async def twice():
        return [await dial(), await dial()]

    found = [*asyncio.run(twice()), *asyncio.run(twice())]
    assert found == [("proj:europe-west1:shop", "asyncpg", WORDS)] * 4
    assert len(google) == 2


def test_an_engine_is_given_the_connector(google, monkeypatch):
    said = {}
    monkeypatch.setattr(
        sqlalchemy, "create_engine", lambda url, **words: said.update(words, url=url)
    )
    engine(DATABASE, "ada", "hunter2")
    assert said["url"].drivername == "postgresql+psycopg"
    assert said["creator"]() == ("proj:europe-west1:shop", "psycopg", WORDS)


def test_without_the_connector_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(connector.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeclarationError, match=r"pip install 'buildflow_nb\[cloudsql\]'"):
        connector_of(DATABASE, Env(), "ada", Secret("x"), is_async=True)


def test_without_a_project_the_real_cloud_cannot_be_asked(google):
    nowhere = CloudSQLDatabase("orders", CloudSQLInstance("shop"))
    with pytest.raises(DeclarationError, match="no Google Cloud project is known"):
        connector_of(nowhere, Env(), "ada", Secret("x"), is_async=True)
    assert google == []


def test_a_table_is_in_a_database(monkeypatch):
    monkeypatch.setattr("tests.io.driving.Env", lambda: LOCAL)
    table = PostgresTable("t", database=DATABASE, user="ada", password=Secret("hunter2"))
    assert table.primitive_id == "proj:shop.orders/public.t"
    assert "hunter2" not in repr(table)
    with pytest.raises(TemporaryError, match="CloudSQLDatabase shop / orders cannot be reached"):
        pushed(table, [{"x": 1}])


def test_what_a_look_finds():
    (found,) = run(INSTANCE.check(LOCAL))
    assert found.said == "is a part of the local cloud's Postgres, and costs nothing"
    (found,) = run(DATABASE.check(Env()))
    assert found.health is Health.OK
    (found,) = run(DATABASE.check(LOCAL))
    assert found.health is Health.ERROR
    assert "cannot be reached" in found.said


class Broken:
    """Stores of which none can be started."""

    def wake(self, service):
        msg = f"the local cloud's {service} did not start: no room"
        raise InfraError(msg)


def test_a_store_that_does_not_start_is_a_finding():
    env = Env(cloud="local", services=Broken())
    found = [*run(DATABASE.check(env)), *run(PostgresTable("t").check(env))]
    assert [one.said for one in found] == ["the local cloud's postgres did not start: no room"] * 3
