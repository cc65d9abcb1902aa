"""Tables and queries of BigQuery as sources."""

from __future__ import annotations

from contextlib import suppress

import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.findings import Health
from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryQuery, BigQueryTable
from buildflow_nb.io.gcp.bigquery.source import RowSource
from tests.io.contract import SourceContract, drain, pushed, run
from tests.io.gcp.bigquery.test_sink import FULL, Everything
from tests.io.records import POINTS, Point

pytestmark = pytest.mark.emulator
RECORDS = [{"x": point.x, "name": point.name} for point in POINTS]


class TestTable(SourceContract):
    expected = RECORDS
    reads = (RowSource, "_fetch")

    @pytest.fixture(autouse=True)
    def _shop(self, shop, env):
        self.shop = shop

    def make(self, folder):
        return self.shop.table(folder)

    def prepare(self, folder):
        table = self.shop.table(folder, Point)
        if not self.shop.rows(table):
            pushed(table, POINTS, element=Point)
        return self.make(folder)


class TestQuery(TestTable):
    def make(self, folder):
        name = self.shop.name(folder)
        return BigQueryQuery(f"SELECT x, name FROM `shop`.`{name}`")


def read(primitive, env):
    async def go():
        async with primitive.source(env) as source:
            return await drain(source)

    return run(go())


def test_every_type_comes_back(shop, env, tmp_path):
    table = shop.table(tmp_path, Everything)
    pushed(table, [FULL], element=Everything)
    (record,) = read(table, env)
    assert record["anything"] == FULL.anything
    assert record["items"] == [{"sku": "x", "n": 1}, {"sku": "y", "n": None}]
    assert (record["amount"], record["clock"], record["none"]) == (FULL.amount, FULL.clock, [])
    assert record["at"] == FULL.at


def test_a_large_result_comes_in_order(env):
    query = BigQueryQuery("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 55000)) AS x ORDER BY x DESC")
    assert [record["x"] for record in read(query, env)] == list(range(55_000, 0, -1))


def test_nothing_is_an_end_at_once(shop, env, tmp_path):
    assert read(BigQueryQuery("SELECT 1 AS x FROM (SELECT 1) WHERE FALSE"), env) == []
    assert read(shop.table(tmp_path, Point), env) == []


def test_reading_goes_on_where_it_was_cut(shop, env, tmp_path):
    shop.table(tmp_path, Point)
    query = BigQueryQuery("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS x ORDER BY x")

    async def go():
        async with query.source(env) as source:
            first = await source.pull()
            source._call.cancel()
            with pytest.raises(TemporaryError, match="the connection was closed"):
                await source.pull()
            return len(first.items), (await source.pull()).items[0]["x"]

    read, after = run(go())
    assert after == read + 1


def test_an_end_right_after_a_fault_is_not_believed(env, monkeypatch):
    async def broken():
        raise ConnectionError

    async def go():
        async with BigQueryQuery("SELECT 1 AS x").source(env) as source:
            first = await source.pull()
            with monkeypatch.context() as patched:
                patched.setattr(source, "_fetch", broken)
                with pytest.raises(TemporaryError):
                    await source.pull()
            return [first.items, (await source.pull()).items, await source.pull()]

    assert run(go()) == [[{"x": 1}], (), None]


def test_a_snapshot_that_is_gone_is_said_and_not_begun_anew(shop, env):
    query = BigQueryQuery("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS x ORDER BY x")

    async def go():
        async with query.source(env) as source:
            await source.pull()
            shop.restart(kill=True)
            await source._let_go()  # it may have had all of it already
            for _ in range(3):
                with suppress(TemporaryError):
                    await source.pull()

    with pytest.raises(PermanentError, match="the snapshot is gone behind row"):
        run(go())


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("SELECT nothing", PermanentError, "nothing"),
        ("SELECT * FROM shop.nowhere", TemporaryError, "does not exist"),
        ("SELECT * FROM nowhere.nothing", TemporaryError, "does not exist"),
        ("CREATE TABLE shop.made_by_a_query (a INT64)", PermanentError, "one SELECT"),
    ],
)
def test_a_query_that_does_not_work_says_why_in_one_line(env, sql, error, said):
    async def go():
        async with BigQueryQuery(sql).source(env) as source:
            await source.pull()

    with pytest.raises(error, match=said) as caught:
        run(go())
    assert "\n" not in str(caught.value)


def test_looking_tells_what_is_wrong(shop, env, tmp_path):
    (good,) = run(BigQueryQuery("SELECT 1 AS x").check(env))
    (bad,) = run(BigQueryQuery("SELECT nothing").check(env))
    (table,) = run(shop.table(tmp_path, Point).check(env))
    (missing,) = run(BigQueryTable(BigQueryDataset(None, "shop"), "missing").check(env))
    assert (good.health, bad.health) == (Health.OK, Health.ERROR)
    assert (table.health, missing.health) == (Health.OK, Health.ERROR)
    assert table.said == "is there, with 2 columns"
    assert "nothing" in bad.said
    assert "apply" in missing.cure


def test_columns_are_those_of_the_table(shop, env, tmp_path):
    found = run(shop.table(tmp_path, Point).columns(env))
    assert tuple(found.names) == ("x", "name")
    assert run(BigQueryTable(BigQueryDataset(None, "shop"), "missing").columns(env)) is None


def test_a_query_must_be_sql():
    with pytest.raises(DeclarationError, match="query must be SQL"):
        BigQueryQuery(" ")
