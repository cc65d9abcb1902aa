"""The vendor's client against our server, and against the engine in its own process."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import threading
import urllib.error
import urllib.request
import uuid

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from tests.local_cloud.servers import PASSWORD, Served, served

pytestmark = pytest.mark.emulator

WINDOW = "SETTINGS non_replicated_deduplication_window = 100"
COLUMNS = {
    "i": "Int64", "u": "UInt8", "f": "Float64", "b": "Bool", "s": "String", "n": "Nullable(String)",
    "l": "LowCardinality(String)", "a": "Array(Int32)", "m": "Map(String, Int64)",
    "t": "Tuple(x Int64, y String)", "k": "UUID", "d": "Decimal(18, 4)", "day": "Date32",
    "at": "DateTime64(6, 'UTC')",
}  # fmt: skip
KEY = uuid.UUID(int=7)
ROW = (
    1, 2, 2.5, True, "text", None, "low", [1, 2], {"a": 1}, {"x": 1, "y": "z"}, KEY,
    decimal.Decimal("1.5000"), dt.date(1960, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 6),
)  # fmt: skip


def connect(server, password=None, **words):
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=server.port,
        username="default",
        password=PASSWORD.reveal() if password is None else password,
        **words,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(CLICKHOUSE, tmp_path_factory.mktemp("clickhouse")) as made:
        yield made


@pytest.fixture
def client(server):
    with connect(server) as made:
        yield made


@pytest.fixture
def table(client):
    name = f"t_{uuid.uuid4().hex}"
    yield name
    client.command(f"DROP TABLE IF EXISTS {name}")


def make(client, table, columns, rest=""):
    said = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    client.command(f"CREATE TABLE {table} ({said}) ENGINE = MergeTree ORDER BY tuple() {rest}")


def test_every_type_there_and_back(client, table):
    make(client, table, COLUMNS)
    client.insert(table, [ROW], column_names=list(COLUMNS))
    assert client.query(f"SELECT * FROM {table}").result_rows == [ROW]


def test_the_ways_of_inserting(client, table):
    make(client, table, {"order": "Int64", "at": "Nullable(String)"})
    client.insert(table, [[1, "rows"]], column_names=["order", "at"])
    client.insert_arrow(table, pa.table({"order": [2], "at": ["arrow"]}))
    client.raw_insert(table, insert_block=b'{"order": 3, "at": "json"}\n', fmt="JSONEachRow")
    client.command(f"INSERT INTO {table} VALUES (4, 'values')")
    client.raw_insert(table, ["order", "at"], b"5\t\\N\n", fmt="TabSeparated")
    found = client.query(f"SELECT * FROM {table} ORDER BY `order`").result_rows
    assert found == [(1, "rows"), (2, "arrow"), (3, "json"), (4, "values"), (5, None)]


def test_the_ways_of_reading(client):
    sql = "SELECT number AS n, toString(number) AS s FROM numbers(200000)"
    assert client.query_arrow(sql).num_rows == 200_000
    with client.query_rows_stream(sql) as stream:
        assert sum(1 for _ in stream) == 200_000
    found = client.raw_query("SELECT 1 AS one, 'x' AS two", fmt="CSVWithNames")
    assert found == b'"one","two"\n1,"x"\n'


def test_parameters_and_settings(client):
    found = client.query("SELECT {n:Int64} + 1, {s:String}", parameters={"n": 41, "s": "it's"})
    assert found.result_rows == [(42, "it's")]
    found = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 17})
    assert found.result_rows == [(17,)]


def test_databases_do_not_leak_into_one_another(server, client):
    client.command("CREATE DATABASE IF NOT EXISTS `my shop`")
    with connect(server, database="my shop") as other:
        assert other.query("SELECT currentDatabase()").result_rows == [("my shop",)]
        assert client.query("SELECT currentDatabase()").result_rows == [("default",)]


def test_a_token_is_stored_once(client, table):
    make(client, table, {"n": "Int64"}, WINDOW)
    for rows in ([1, 2], [1, 2], [3]):
        token = {"insert_deduplication_token": str(rows)}
        client.insert_arrow(table, pa.table({"n": rows}), settings=token)
    client.insert_arrow(table, pa.table({"n": [3]}))
    assert client.query(f"SELECT n FROM {table} ORDER BY n").result_rows == [(1,), (2,), (3,), (3,)]


def test_replacing(client, table):
    client.command(
        f"CREATE TABLE {table} (k String, n Int64) ENGINE = ReplacingMergeTree ORDER BY k"
    )
    for n in (1, 2):
        client.insert(table, [["a", n]], column_names=["k", "n"])
    assert client.query(f"SELECT n FROM {table} FINAL").result_rows == [(2,)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM nowhere", 60),
        ("SELECT * FROM nowhere.t", 81),
        ("SELECT nothing", 47),
        ("SELEC 1", 62),
        ("INSERT INTO nowhere VALUES (1)", 60),
    ],
)
def test_faults_have_their_number(client, sql, code):
    with pytest.raises(DatabaseError, match=f"ode: {code}"):
        client.command(sql)
    assert client.command("SELECT 1") == 1


def test_a_bad_row_stores_nothing(client, table):
    make(client, table, {"n": "Int64"})
    with pytest.raises(DatabaseError, match="ode: 27"):
        client.raw_insert(table, insert_block=b'{"n": 1}\n{"n": "x"}\n', fmt="JSONEachRow")
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(0,)]


@pytest.mark.parametrize("password", ["", "wrong", "made-up.for_test", "é"])
def test_strangers_are_refused(server, password):
    with pytest.raises(DatabaseError, match=r"516|Authentication failed"):
        connect(server, password)


def asked(server, query, body=b"", **headers):
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/?{query}", body or None,
        {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD.reveal(), **headers},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return answer.read()


def test_packed_bodies(server, client, table):
    make(client, table, {"n": "Int64"})
    rows = b'{"n": 1}\n'
    query = f"query=INSERT+INTO+{table}+(n)+FORMAT+JSONEachRow"
    asked(server, query, gzip.compress(rows), **{"Content-Encoding": "gzip"})
    asked(server, query, lz4.frame.compress(rows), **{"Content-Encoding": "lz4"})
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(2,)]
    for how in ("gzip", "lz4"):
        with pytest.raises(urllib.error.HTTPError) as found:
            asked(server, query, b"nonsense", **{"Content-Encoding": how})
        with found.value as answer:
            assert answer.code == 400
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(2,)]


def test_what_is_not_served_is_refused_by_name(server):
    with pytest.raises(urllib.error.HTTPError) as found:
        asked(server, "query=SELECT+1", b"--x--", **{"Content-Type": "multipart/form-data"})
    with found.value as answer:
        assert "external tables are not served" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError) as found:
        asked(server, "query=SELECT+1&a-b=1")
    with found.value as answer:
        assert "Unknown setting" in answer.read().decode()


def test_several_at_once(client, server, table):
    make(client, table, {"n": "Int64"})

    def many(first):
        with connect(server) as own:
            for i in range(20):
                own.insert_arrow(table, pa.table({"n": [first * 100 + i]}))

    threads = [threading.Thread(target=many, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert client.query(f"SELECT uniqExact(n) FROM {table}").result_rows == [(120,)]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_was_acknowledged_is_there_afterwards(tmp_path, how):
    server = Served(CLICKHOUSE, tmp_path)
    try:
        with connect(server) as client:
            make(client, "kept", {"n": "Int64"}, WINDOW)
            for n in range(20):
                token = {"insert_deduplication_token": str(n)}
                client.insert_arrow("kept", pa.table({"n": [n]}), settings=token)
        getattr(server, how)()
        server.start()
        with connect(server) as client:
            again = {"insert_deduplication_token": "19"}
            client.insert_arrow("kept", pa.table({"n": [19]}), settings=again)
            assert client.query("SELECT count(), sum(n) FROM kept").result_rows == [(20, 190)]
    finally:
        server.stop()
