"""Rows of DuckDB whose values, or whose query, Python or DuckDB itself cannot do."""

import datetime as dt

import duckdb
import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Malformed
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.duckdb.connection import fault
from tests.io.contract import pulled, run
from tests.io.records import decoded


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS i, 'x' AS s FROM range(10000)")
    return path


def asked(database, query):
    return pulled(DuckDBQuery(database, query))


def test_a_moment_that_python_has_not_fails_alone(database):
    with duckdb.connect(str(database)) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN ts TIMESTAMP DEFAULT TIMESTAMP '2024-01-01'")
        connection.execute("UPDATE t SET ts = 'infinity' WHERE i = 5000")
    found = pulled(DuckDBTable(database, "t"))
    assert len(found) == 10_000
    bad = [item for item in found if isinstance(item, Malformed)]
    assert [item.raw["i"] for item in bad] == [5_000]
    assert bad[0].reason.startswith("column 'ts': ")
    assert bad[0].reason.endswith("is out of range for Python, which has the years 1 to 9999")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("DATE 'infinity'", "is out of range for Python"),
        ("DATE '0044-03-15 (BC)'", "is out of range for Python"),
        ("TIMESTAMP '0044-03-15 (BC) 12:00:00'", "is out of range for Python"),
        ("TIMESTAMPTZ '-infinity'", "is out of range for Python"),
        ("INTERVAL 1 MONTH", "has months, which are no fixed time"),
        ("INTERVAL '1 year 2 days'", "has months, which are no fixed time"),
        ("[INTERVAL 1 MONTH]", "has months, which are no fixed time"),
        ("TIME '24:00:00'", "is no time of a day"),
        ("TIMESTAMP_NS '2024-01-01 00:00:00.123456789'", "has nanoseconds, which Python's"),
        ("TIME_NS '12:00:00.123456789'", "has nanoseconds, which Python's"),
        ("[TIMESTAMP_NS '2024-01-01 00:00:00.123456789']", "has nanoseconds, which Python's"),
        ("{'at': TIMESTAMP_NS '2024-01-01 00:00:00.000000001'}", "has nanoseconds, which"),
        ("MAP {'at': TIMESTAMP_NS '2024-01-01 00:00:00.000000001'}", "has nanoseconds, which"),
    ],
)
def test_a_value_that_python_has_not_fails_with_its_row(database, value, reason):
    query = f"SELECT 1 AS n, NULL AS v UNION ALL SELECT 2, {value} UNION ALL SELECT 3, NULL"
    first, bad, last = asked(database, query)
    assert (first, last) == ({"n": 1, "v": None}, {"n": 3, "v": None})
    assert isinstance(bad, Malformed)
    assert bad.raw["n"] == 2
    assert bad.reason.startswith("column 'v': ")
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sum(i)", 49_995_000),
        ("[1, 2]", [1, 2]),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1),
        ("12345678901234567890123456789012345678901234567890::BIGNUM", int("1234567890" * 5)),
        ("'101'::BIT", "101"),
        ("{'a': 1}::VARIANT", {"a": 1}),
        ("'{\"a\": [1]}'::JSON", {"a": [1]}),
        ("TIMETZ '12:00:00+05:30'", dt.time(12, tzinfo=dt.timezone(dt.timedelta(hours=5.5)))),
        ("TIMESTAMP_NS '2024-01-01 00:00:00.123456'", dt.datetime(2024, 1, 1, 0, 0, 0, 123456)),
        ("TIME_NS '12:00:00.123456'", dt.time(12, 0, 0, 123456)),
        ("INTERVAL '-1 day'", dt.timedelta(days=-1)),
        ("INTERVAL '3000000 hours 5 minutes'", dt.timedelta(hours=3_000_000, minutes=5)),
        ("INTERVAL '-00:00:01.5'", dt.timedelta(seconds=-1.5)),
        ("INTERVAL 0 DAY", dt.timedelta(0)),
        ("[INTERVAL 1 DAY, NULL]", [dt.timedelta(days=1), None]),
        ("{'d': INTERVAL 1 DAY}", {"d": dt.timedelta(days=1)}),
    ],
)
def test_what_both_have_comes_as_it_is(database, value, expected):
    grouped = " GROUP BY ALL" if "sum" not in value else ""
    (found,) = asked(database, f"SELECT {value} AS v FROM t{grouped} LIMIT 1")
    assert found["v"] == expected
    assert type(found["v"]) is type(expected)


def test_a_sum_is_an_int(database):
    from dataclasses import dataclass

    @dataclass
    class Total:
        s: int

    query = DuckDBQuery(database, "SELECT sum(i) AS s FROM t")
    assert decoded(Total, query, pulled(query)) == [Total(49_995_000)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT CAST(CASE WHEN i = 9000 THEN 'n/a' ELSE '1' END AS INTEGER) AS v FROM t",
        "SELECT CASE WHEN i = 9000 THEN error('no such thing') ELSE i END AS v FROM t",
        "SELECT i // (i - 9000)::DECIMAL(9, 2) + CAST(s AS DATE) AS v FROM t",
    ],
)
def test_a_query_that_cannot_succeed_is_not_waited_for(database, query):
    async def go():
        async with DuckDBQuery(database, query).source(Env()) as source:
            errors = []
            while len(errors) < 3:
                try:
                    assert await source.pull() is not None
                except PermanentError as error:
                    errors.append(error)
            return errors

    errors = run(go())
    assert "shop.duckdb" in str(errors[0])
    assert "Error: " in str(errors[0])
    assert errors[1:] == errors[:1] * 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a.*, b.* FROM t a JOIN t b USING (i), t c",
        "SELECT 1 AS id, 2 AS id",
        "SELECT * FROM (SELECT 1 AS id) a, (SELECT 2 AS id) b",
    ],
)
def test_columns_of_one_name_are_refused(database, query):
    words = "the query has two columns named '.+', of which one would hide the other; name them"
    with pytest.raises(PermanentError, match=words):
        asked(database, query)


def test_a_query_of_nothing_is_refused(database):
    with pytest.raises(PermanentError, match=r"gives no rows; make it a SELECT"):
        asked(database, ";")


def test_a_row_at_fault_is_named(database):
    query = "SELECT CASE WHEN i = 9 THEN DATE 'infinity' ELSE DATE '2024-01-01' END AS d FROM t"

    async def go():
        async with DuckDBQuery(database, query).source(Env()) as source:
            batch = await source.pull()
            return [batch.origin(i) for i, x in enumerate(batch.items) if type(x) is not dict]

    assert run(go()) == ["query row 10"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (duckdb.IOException('Could not set lock on file "x": held (PID 7)'), TemporaryError),
        (duckdb.IOException("No space left on device"), TemporaryError),
        (duckdb.TransactionException("Conflict on tuple"), TemporaryError),
        (duckdb.IOException("checksum does not match in block 5"), PermanentError),
        (duckdb.ConversionException("Could not convert"), PermanentError),
        (duckdb.OutOfRangeException("Overflow"), PermanentError),
        (duckdb.InvalidInputException("boom"), PermanentError),
        (duckdb.InternalException("boom"), PermanentError),
    ],
)
def test_only_what_passes_is_waited_for(error, kind):
    assert type(fault(error, "x.duckdb")) is kind
