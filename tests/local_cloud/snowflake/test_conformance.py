"""The vendor's client against our server: what a stack needs of it."""

from __future__ import annotations

import gzip
import http.client
import io
import time
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector.errors import DatabaseError, ProgrammingError
from snowflake.connector.vendored import requests

from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from tests.local_cloud.servers import PASSWORD, Served, served

pytestmark = pytest.mark.emulator


# With its full name: fakesnow takes names of the session without quotes for upper case.
STAGE = '"shop"."Raw"."st"'


def connect(server, password=None, **words):
    return snowflake.connector.connect(
        account="local",
        user="u",
        password=PASSWORD.reveal() if password is None else password,
        host="127.0.0.1",
        port=server.port,
        protocol="http",
        login_timeout=5,
        network_timeout=8,
        session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False, **words},
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(SNOWFLAKE, tmp_path_factory.mktemp("snowflake")) as made:
        yield made


@pytest.fixture
def run(server):
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute('CREATE DATABASE IF NOT EXISTS "shop"')
    cursor.execute('CREATE SCHEMA IF NOT EXISTS "shop"."Raw"')
    cursor.execute('USE SCHEMA "shop"."Raw"')
    yield lambda sql, **words: cursor.execute(sql, **words).fetchall()
    connection.close()


def put(run, name="one.parquet", rows=None):
    table = pa.table(rows or {"c0": [1, 2], "c1": ['{"a": 1}', None]})
    file = io.BytesIO()
    pq.write_table(table, file)
    file.seek(0)
    run(f"PUT file://{name} @{STAGE} OVERWRITE=TRUE AUTO_COMPRESS=FALSE", file_stream=file)


def copied(run, where, rest=""):
    selected = f'SELECT $1:"c0"::NUMBER, PARSE_JSON($1:"c1"::VARCHAR) FROM @{STAGE}'
    return run(f"COPY INTO T FROM ({selected}{where}) FILE_FORMAT = (TYPE = PARQUET) {rest}")


def test_a_file_is_put_copied_and_removed(run):
    run(f"CREATE STAGE IF NOT EXISTS {STAGE}")
    run("CREATE OR REPLACE TABLE T (N NUMBER NOT NULL, V VARIANT)")
    put(run)
    copied(run, "/one.parquet")
    assert run("SELECT N, V:a::NUMBER FROM T ORDER BY N") == [(1, 1), (2, None)]
    assert len(run(f"LIST @{STAGE}")) == 1
    run(f"REMOVE @{STAGE}/one.parquet")
    assert run(f"LIST @{STAGE}") == []


def test_what_may_not_be_missing_is_snowflakes_error_and_stores_nothing(run):
    run(f"CREATE STAGE IF NOT EXISTS {STAGE}")
    run("CREATE OR REPLACE TABLE T (N NUMBER NOT NULL, V VARIANT)")
    put(run, "null.parquet", {"c0": [1, None], "c1": ["1", "2"]})
    with pytest.raises(DatabaseError) as found:
        copied(run, "/null.parquet")
    assert found.value.errno == 100072
    assert run("SELECT count(*) FROM T") == [(0,)]


def test_what_is_rolled_back_was_never_there(run):
    run("CREATE OR REPLACE TABLE T (N NUMBER)")
    run("BEGIN")
    run("INSERT INTO T VALUES (1)")
    run("ROLLBACK")
    assert run("SELECT count(*) FROM T") == [(0,)]


def test_stages_pipes_and_databases_come_and_go(run):
    run("CREATE STAGE S2")
    run("DROP STAGE S2")
    run("DROP STAGE IF EXISTS S2")
    run("CREATE OR REPLACE TABLE T (N NUMBER)")
    run('CREATE PIPE IF NOT EXISTS "shop"."Raw"."p" AUTO_INGEST = FALSE AS COPY INTO T FROM @S')
    run('DROP PIPE "shop"."Raw"."p"')
    with pytest.raises(ProgrammingError, match="does not exist") as found:
        run('DROP PIPE "shop"."Raw"."p"')
    assert found.value.errno == 2003
    run("CREATE DATABASE GONE")
    run("CREATE SCHEMA GONE.S")
    run("CREATE TABLE GONE.S.T (N NUMBER)")
    run("DROP DATABASE GONE")
    with pytest.raises(ProgrammingError):
        run("SELECT * FROM GONE.S.T")
    run("CREATE DATABASE GONE")  # another one of the same name
    run("USE DATABASE GONE")
    run("DROP DATABASE GONE")
    run("DROP DATABASE IF EXISTS GONE")
    with pytest.raises(ProgrammingError, match="does not exist"):
        run("DROP DATABASE GONE")


@pytest.mark.parametrize(
    "sql", ["CREATE WAREHOUSE W", "CREATE ROLE R", "GRANT ROLE R TO USER U", "DROP WAREHOUSE W"]
)
def test_what_is_nothing_here_succeeds(run, sql):
    assert run(sql) == [("Statement executed successfully.",)]


@pytest.mark.parametrize("password", ["", "wrong", "é"])
def test_strangers_are_refused(server, password):
    with pytest.raises(DatabaseError, match="Incorrect username or password"):
        connect(server, password or "-")


def test_nobody_chooses_another_folder(server, tmp_path):
    with pytest.raises(DatabaseError, match="Incorrect username or password"):
        connect(server, FAKESNOW_DB_PATH=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_files_stay_on_their_stage(run):
    run(f"CREATE STAGE IF NOT EXISTS {STAGE}")
    with pytest.raises(ProgrammingError):
        run(f"REMOVE @{STAGE}/../../data")
    assert run("SELECT 1") == [(1,)]


def asked(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.request(method, path, body, headers)
        return connection.getresponse().status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/fs_bucket/shop/Raw/st/planted.parquet"),
        ("PUT", "/fs_bucket/shop/Raw/st/planted.parquet?signature=" + "0" * 64),
        ("PUT", "/fs_bucket/%c3%a9?signature=%c3%a9"),
        ("POST", "/queries/v1/query-request"),
        ("POST", "/queries/v1/abort-request"),
        ("POST", "/session"),
        ("POST", "/session/heartbeat"),
        ("GET", "/monitoring/queries/x"),
        ("GET", "/"),
    ],
)
@pytest.mark.parametrize("token", [None, 'Snowflake Token="made up"', "Snowflake Token"])
def test_everything_but_the_login_needs_a_session(server, run, method, path, token):
    run(f"CREATE STAGE IF NOT EXISTS {STAGE}")
    before = run(f"LIST @{STAGE}")
    headers = {} if token is None else {"Authorization": token}
    assert asked(server, method, path, b"x", **headers) == 401
    assert run(f"LIST @{STAGE}") == before


def test_an_address_is_good_for_its_file_alone(server, run, monkeypatch):
    run(f"CREATE STAGE IF NOT EXISTS {STAGE}")
    seen = []
    plain = requests.Session.request

    def watched(self, method, url, *arguments, **words):
        seen.append(url)
        return plain(self, method, url, *arguments, **words)

    monkeypatch.setattr(requests.Session, "request", watched)
    put(run, "other.parquet")
    assert "other.parquet" in str(run(f"LIST @{STAGE}"))
    run(f"REMOVE @{STAGE}")
    address = next(url for url in seen if "/fs_bucket/" in url)
    path = address.partition(f":{server.port}")[2]
    assert asked(server, "PUT", path, b"x") == 200
    assert asked(server, "PUT", path.replace(".parquet", ".other"), b"x") == 401


def test_what_it_cannot_do_is_told_at_once_and_not_written_to_the_log(tmp_path):
    with served(SNOWFLAKE, tmp_path) as server:
        connection = connect(server)
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE D")
        cursor.execute("CREATE SCHEMA D.S")
        began = time.monotonic()
        with pytest.raises(ProgrammingError, match="the local Snowflake cannot do this: "):
            cursor.execute('CREATE TABLE D.S."a quote\' in made up words" (N NUMBER)')
        with pytest.raises(ProgrammingError):
            cursor.execute("SELECT 'made up words' FROM D.S.NOWHERE")
        assert time.monotonic() - began < 4
        connection.close()
    log = (tmp_path / "log").read_text()
    assert "made up words" not in log
    assert "login" not in log


def test_bodies_are_bounded(server):
    headers = {"Content-Length": str(1 << 40)}
    assert asked(server, "POST", "/session/v1/login-request", **headers) == 413
    bomb = gzip.compress(b'{"data": {"PASSWORD": "' + b"x" * (64 << 20) + b'"}}')
    path = "/session/v1/login-request"
    assert asked(server, "POST", path, bomb, **{"Content-Encoding": "gzip"}) == 200
    with pytest.raises(DatabaseError, match="Incorrect username or password"):
        connect(server, "x" * (2 << 20))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_was_acknowledged_is_there_afterwards(tmp_path, how):
    server = Served(SNOWFLAKE, tmp_path)
    try:
        connection = connect(server)
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE KEPT")
        cursor.execute("CREATE SCHEMA KEPT.S")
        cursor.execute("CREATE TABLE KEPT.S.T (N NUMBER)")
        cursor.execute('CREATE STAGE "KEPT"."S"."One stage"')
        cursor.execute('CREATE DATABASE "gone"')
        cursor.execute('DROP DATABASE "gone"')
        for n in range(20):
            cursor.execute(f"INSERT INTO KEPT.S.T VALUES ({n})")
        getattr(server, how)()
        server.start()
        again = connect(server)
        found = again.cursor().execute("SELECT count(*), sum(N) FROM KEPT.S.T").fetchall()
        assert found == [(20, 190)]
        assert [row[1] for row in again.cursor().execute("SHOW DATABASES")] == ["KEPT"]
        assert [row[1] for row in again.cursor().execute("SHOW STAGES")] == ["One stage"]
    finally:
        server.stop()
