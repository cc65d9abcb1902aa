"""Queries over Postgres: once, again and again, and from a cursor column on."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env, Malformed
from buildflow_nb.io.postgres import PostgresQuery, PostgresTable
from buildflow_nb.io.postgres.cursor_position import CursorPosition
from buildflow_nb.io.postgres.source import QuerySource
from tests.io.contract import SourceContract, drain, pulled, run

RECORDS = [{"n": i, "s": str(i)} for i in range(5_000)]
NUMBERS = "SELECT n, n::text AS s FROM generate_series(0, 4999) AS n"


class TestQuery(SourceContract):
    reads = (QuerySource, "_fetch")
    expected = RECORDS

    @pytest.fixture(autouse=True)
    def _in_a_database(self, url):
        self.url = url

    def make(self, folder):
        del folder
        return PostgresQuery(NUMBERS, self.url)


class TestQueryWithACursor(TestQuery):
    def make(self, folder):
        del folder
        return PostgresQuery(NUMBERS, self.url, cursor="n")


async def some(source, count):
    """So many elements, with their receipts."""
    items, receipts = [], []
    while len(items) < count:
        batch = await source.pull()
        assert batch is not None
        items += batch.items
        receipts += batch.receipts or [None] * len(batch.items)
    return items, receipts


@pytest.fixture
def env(tmp_path):
    return replace(Env(), positions=tmp_path / "positions")


def ids(items):
    return [item["id"] for item in items]


def test_new_rows_come_with_the_next_round(url, sql):
    sql("CREATE TABLE t (id bigint)", "INSERT INTO t VALUES (1), (2)")

    async def go():
        query = PostgresQuery("SELECT id FROM t", url, every_s=0.05, cursor="id")
        async with query.source(Env()) as source:
            first, _ = await some(source, 2)
            assert (await source.pull()).items == ()
            await asyncio.to_thread(sql, "INSERT INTO t VALUES (4), (3)")
            second, _ = await some(source, 2)
            return ids(first), ids(second)

    assert run(go()) == ([1, 2], [3, 4])


def test_without_a_cursor_each_round_has_all_rows(url, sql):
    sql("CREATE TABLE t (id bigint)", "INSERT INTO t VALUES (1)")

    async def go():
        async with PostgresQuery("SELECT id FROM t;", url, every_s=0.05).source(Env()) as source:
            return ids((await some(source, 3))[0])

    assert run(go()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", ["1", "2", "10"]),
        ("timestamptz", ["'2024-01-01 00:00+00'", "'2024-01-01 00:00:00.000001+00'", "now()"]),
        ("text", ["'a'", "'it''s'", "'ü'"]),
        ("numeric", ["0.1", "0.2", "123456789012345678901234567890.5"]),
        ("uuid", ["'" + c * 8 + "-0000-0000-0000-000000000000'" for c in "123"]),
    ],
)
def test_the_next_run_goes_on_behind_what_was_done(url, sql, env, kind, values):
    sql(f"CREATE TABLE t (id bigint, at {kind})")
    for i, value in enumerate(values[:2]):
        sql(f"INSERT INTO t VALUES ({i}, {value})")
    query = PostgresQuery('SELECT id, at AS "At" FROM t', url, cursor="At")

    async def once():
        async with query.source(env) as source:
            items = []
            while (batch := await source.pull()) is not None:
                items += batch.items
                await source.settle(batch.receipts or (), ok=True)
            return ids(items)

    assert run(once()) == [0, 1]
    sql(f"INSERT INTO t VALUES (2, {values[2]})")
    assert run(once()) == [2]
    assert run(once()) == []


def test_what_was_not_done_comes_again(url, sql, env):
    sql("CREATE TABLE t (id bigint)", "INSERT INTO t SELECT generate_series(1, 10)")
    query = PostgresQuery("SELECT id FROM t", url, cursor="id")

    async def only(done):
        async with query.source(env) as source:
            items, receipts = await some(source, 1)
            settled = [r for item, r in zip(items, receipts, strict=True) if item["id"] in done]
            await source.settle(settled, ok=True)
            return ids(items)

    assert run(only({1, 2, 3, 5, 6})) == list(range(1, 11))
    assert run(only({4, 5})) == list(range(4, 11))
    assert run(only({6})) == list(range(6, 11))
    assert run(only(set(range(11)))) == list(range(7, 11))


def test_rows_that_share_a_value_count_together():
    position = CursorPosition(None)
    one, two, three, four = position.read(["a", "a", "b", "b"])
    position.settle([one])
    assert position.reached is None
    position.settle([two])
    assert position.reached == "a"
    position.settle([three, four])
    assert position.reached == "a"  # there may be more of b on the next page
    position.ended()
    assert position.reached == "b"
    (five,) = position.read(["b"])  # committed since
    assert position.reached == "b"
    position.settle([five])
    assert position.reached == "b"


def test_what_is_kept_of_a_position_does_not_grow():
    position = CursorPosition(None)
    (stuck,) = position.read(["0"])
    for i in range(1, 1_000):
        position.settle(position.read([str(i)]))
    assert len(position._undone) == 1
    assert position.reached is None
    position.settle([stuck])
    position.ended()
    assert position.reached == "999"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("timestamptz 'infinity'", "infinite"),
        ("date '-infinity'", "infinite"),
        ("date '0044-03-15 BC'", "range"),
        ("timestamp '12345-01-01'", "range"),
        ("interval '1 month'", "months"),
        ("time '24:00'", "hour"),
        ("ARRAY[timestamp 'infinity']", "infinite"),
    ],
)
def test_a_value_that_python_does_not_have_fails_its_row_alone(url, value, said):
    query = f"SELECT i, CASE i WHEN 500 THEN {value} END AS v FROM generate_series(1, 999) AS i"
    items = pulled(PostgresQuery(query, url))
    assert len(items) == 999
    bad = items[499]
    assert isinstance(bad, Malformed)
    assert said in bad.reason
    assert "'v'" in bad.reason
    assert not any(isinstance(item, Malformed) for item in items[:499] + items[500:])


def test_values_are_what_they_are(url):
    (item,) = pulled(
        PostgresQuery(
            "SELECT '{\"a\": [1, null]}'::jsonb AS j, inet '10.0.0.1' AS ip, B'101' AS bits, "
            "ARRAY[1, NULL] AS a, interval '2 days 1 second' AS span, 1.10::numeric AS n, "
            "timestamptz '2024-01-01 12:00+05' AS at, point '(1,2)' AS p, NULL AS nothing",
            url,
        )
    )
    assert item == {
        "j": {"a": [1, None]},
        "ip": "10.0.0.1",
        "bits": "101",
        "a": [1, None],
        "span": dt.timedelta(days=2, seconds=1),
        "n": item["n"],
        "at": dt.datetime(2024, 1, 1, 7, tzinfo=dt.UTC),
        "p": "(1,2)",
        "nothing": None,
    }
    assert str(item["n"]) == "1.10"


@pytest.mark.parametrize(
    ("query", "words", "kind", "said"),
    [
        ("SELECT 1 AS id, 2 AS id", {}, PermanentError, "the column 'id' twice"),
        ("SELECT 1 AS id", {"cursor": "at"}, PermanentError, "no column 'at' to go by; it has id"),
        ("SELECT nothing", {}, PermanentError, 'column "nothing" does not exist'),
        ("SELEC", {}, PermanentError, "syntax error"),
        ("SELECT 1 / (i - 900) FROM generate_series(1, 999) i", {}, PermanentError, "by zero"),
        ("CREATE TABLE t (id int)", {}, PermanentError, "cannot be read on"),
        ("DELETE FROM pg_class", {}, PermanentError, "cannot be read on"),
    ],
)
def test_a_query_that_cannot_be_read_is_told_for_good(url, query, words, kind, said):
    with pytest.raises(kind, match=said) as caught:
        pulled(PostgresQuery(query, url, **words))
    assert "\n" not in str(caught.value)


def test_a_server_that_restarts_is_waited_for(tmp_path, env):
    from tests.io.postgres.server import Server

    with Server(tmp_path) as server:
        server.run("CREATE TABLE t (id bigint)", "INSERT INTO t SELECT generate_series(1, 3)")
        query = PostgresQuery("SELECT id FROM t", server.url, every_s=0.05, cursor="id")

        async def go():
            async with query.source(env) as source:
                first, receipts = await some(source, 3)
                await source.settle(receipts, ok=True)
                await asyncio.to_thread(server.kill)
                with pytest.raises((TemporaryError, ConnectionError)):
                    await some(source, 1)
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(server.run, "INSERT INTO t VALUES (4)")
                found = []
                while not found:
                    try:
                        found, _ = await some(source, 1)
                    except TemporaryError:
                        continue
                return ids(first) + ids(found)

        assert sorted(set(run(go()))) == [1, 2, 3, 4]  # the row on the edge may come twice


def test_a_connection_lost_in_the_middle_is_no_end(url, sql, rows):
    async def go(query, most):
        async with query.source(Env()) as source:
            first, _ = await some(source, 1)
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"  # noqa: E501
            await asyncio.to_thread(rows, kill)
            while len(first) < most:
                try:
                    first += (await source.pull()).items
                except TemporaryError:
                    continue
            return first

    with pytest.raises(PermanentError, match="lost in the middle"):
        run(go(PostgresQuery(NUMBERS, url), 5_000))
    found = run(go(PostgresQuery(NUMBERS, url, cursor="n"), 5_000))
    assert {item["n"] for item in found} == set(range(5_000))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"sql": " ;"}, "sql must be a query"),
        ({"sql": "SELECT 1", "every_s": 0}, "every_s must be seconds"),
        ({"sql": "SELECT 1", "every_s": "1"}, "every_s must be seconds"),
        ({"sql": "SELECT 1", "cursor": ""}, "cursor must be the name"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_declared(words, said):
    with pytest.raises(DeclarationError, match=said):
        PostgresQuery(**words)


def test_the_table_of_a_sink_is_a_source_of_records(url, sql):
    sql("CREATE TABLE t (id bigint)", "INSERT INTO t VALUES (1)")
    assert pulled(PostgresTable("t", url)) == [{"id": 1}]


def test_a_table_that_somebody_makes_later_is_waited_for(url, sql):
    async def go():
        async with PostgresQuery("SELECT id FROM later", url).source(Env()) as source:
            with pytest.raises(TemporaryError, match=r"does not exist \(yet\); what makes it\?"):
                await source.pull()
            await asyncio.to_thread(sql, "CREATE TABLE later AS SELECT 1 AS id")
            return await drain(source)

    assert run(go()) == [{"id": 1}]
