"""The engine's file: what no query may do, and what a transaction leaves."""

from __future__ import annotations

from contextlib import closing

import duckdb
import pytest

from buildflow_nb.local_cloud.bigquery.state import OWN, Database, keep


@pytest.fixture
def database(tmp_path):
    with closing(Database(tmp_path / "state")) as database:
        yield database


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/never'",
        "ATTACH '/tmp/never.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ],
)
def test_the_engine_reaches_no_file_but_its_own(database, sql):
    with database.reading() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql)


def test_what_fails_half_way_leaves_nothing(database):
    def write():
        with database.writing() as cursor:
            keep(cursor, "streams", {"name": "s"}, {"a": 1})
            raise KeyError

    with pytest.raises(KeyError):
        write()
    with database.reading() as cursor:
        assert cursor.execute(f"SELECT * FROM {OWN}.streams").fetchall() == []


def test_the_file_is_its_owners_alone(database):
    (file,) = database.folder.glob("*.duckdb")
    assert file.stat().st_mode & 0o077 == 0
