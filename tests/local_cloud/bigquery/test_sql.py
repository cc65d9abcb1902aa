"""Queries, DML, DDL and their jobs through Google's client."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from google.api_core import exceptions
from google.cloud.bigquery import (
    ArrayQueryParameter,
    QueryJobConfig,
    ScalarQueryParameter,
    SchemaField,
    Table,
)

SCHEMA = [
    SchemaField("id", "INTEGER", "REQUIRED"),
    SchemaField("at", "TIMESTAMP"),
    SchemaField("order", "STRING"),
    SchemaField("price", "NUMERIC"),
    SchemaField(
        "items",
        "RECORD",
        "REPEATED",
        fields=[SchemaField("sku", "STRING"), SchemaField("n", "INTEGER")],
    ),
]


@pytest.fixture
def table(client, dataset):
    made = client.create_table(Table(f"proj.{dataset}.t", SCHEMA))
    rows = [
        {
            "id": i,
            "at": f"2026-01-0{i + 1}T00:00:00Z",
            "order": "abc"[i],
            "price": f"{i}.5",
            "items": [{"sku": f"{i}{n}", "n": n} for n in range(i)],
        }
        for i in range(3)
    ]
    assert client.insert_rows_json(made, rows, retry=None) == []
    return made


@pytest.fixture
def run(client, dataset):
    def run(sql, *parameters, **options):
        config = QueryJobConfig(
            query_parameters=parameters, default_dataset=f"proj.{dataset}", **options
        )
        job = client.query(sql, job_config=config, retry=None, job_retry=None, timeout=10)
        job.result(retry=None, timeout=10)
        return job

    return run


@pytest.fixture
def rows(run):
    def rows(sql, *parameters, **options):
        found = run(sql, *parameters, **options).result(retry=None, timeout=10)
        return [tuple(row.values()) for row in found]

    return rows


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id, at FROM t WHERE `order` = 'b'", [(1, dt.datetime(2026, 1, 2, tzinfo=dt.UTC))]),
        ("SELECT SUM(id), COUNT(*), AVG(id), SUM(price) FROM t", [(3, 3, 1.0, Decimal("4.5"))]),
        (
            "SELECT t.id, i.sku FROM t, UNNEST(items) AS i ORDER BY 1, 2",
            [(1, "10"), (2, "20"), (2, "21")],
        ),
        (
            "SELECT t.id, i.sku FROM t, t.items AS i ORDER BY 1, 2",
            [(1, "10"), (2, "20"), (2, "21")],
        ),
        (
            "SELECT i.sku, o FROM t, UNNEST(items) AS i WITH OFFSET AS o WHERE id = 2 ORDER BY o",
            [("20", 0), ("21", 1)],
        ),
        ("SELECT e, o FROM UNNEST(['a', 'b']) e WITH OFFSET o ORDER BY o", [("a", 0), ("b", 1)]),
        (
            "SELECT ARRAY_LENGTH(items), ARRAY(SELECT n FROM UNNEST(items)) FROM t ORDER BY id",
            [(0, []), (1, [0]), (2, [0, 1])],
        ),
        ("SELECT STRUCT(1 AS a, 'x' AS b), [1, 2][OFFSET(1)]", [({"a": 1, "b": "x"}, 2)]),
        (
            "SELECT x.id FROM UNNEST([STRUCT(1 AS id), STRUCT(2 AS id)]) AS x ORDER BY id",
            [(1,), (2,)],
        ),
        ("WITH c AS (SELECT id FROM t WHERE id > 0) SELECT COUNT(*) FROM c", [(2,)]),
        ("SELECT id FROM t WHERE id IN UNNEST([0, 2]) ORDER BY id", [(0,), (2,)]),
        ("SELECT * EXCEPT (items, at, price) FROM t WHERE id = 0", [(0, "a")]),
        (
            "SELECT COUNTIF(id > 0), SAFE_DIVIDE(1, 0), SAFE_CAST('x' AS INT64) FROM t",
            [(2, None, None)],
        ),
        ("SELECT id FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY id DESC) = 1", [(2,)]),
        (
            "SELECT FORMAT_TIMESTAMP('%Y-%m', at), DATE(at) FROM t WHERE id = 0",
            [("2026-01", dt.date(2026, 1, 1))],
        ),
        (
            "SELECT TIMESTAMP_TRUNC(at, MONTH), EXTRACT(YEAR FROM at) FROM t WHERE id = 2",
            [(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 2026)],
        ),
        ("SELECT JSON_VALUE('{\"a\": 1}', '$.a'), NULL, 1.5", [("1", None, Decimal("1.5"))]),
        ("SELECT 1 UNION ALL SELECT 2 ORDER BY 1", [(1,), (2,)]),
        ("SELECT table_name FROM INFORMATION_SCHEMA.TABLES", [("t",)]),
        (
            "SELECT column_name, data_type FROM INFORMATION_SCHEMA.COLUMNS"
            " WHERE ordinal_position IN (1, 5) ORDER BY 1",
            [("id", "INT64"), ("items", "ARRAY<STRUCT<sku STRING, n INT64>>")],
        ),
        ("SELECT * FROM (SELECT 1 AS `select`, 2 AS `at`)", [(1, 2)]),
    ],
)
def test_a_query_gives_what_google_gives(rows, sql, expected):
    assert rows(sql) == expected


def test_a_table_is_named_in_full_or_in_part(rows, table):
    d = table.dataset_id
    for name in (f"`proj.{d}.t`", f"`proj`.{d}.t", f"{d}.t", f"proj.{d}.t", "t", "`t`"):
        assert rows(f"SELECT COUNT(*) FROM {name}") == [(3,)], name


def test_parameters_are_bound_by_name_and_place(rows, table):
    named = (
        ScalarQueryParameter("id", "INT64", 1),
        ScalarQueryParameter("when", "TIMESTAMP", dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        ScalarQueryParameter("price", "NUMERIC", Decimal("1.5")),
        ArrayQueryParameter("orders", "STRING", ["b", "x"]),
    )
    sql = (
        "SELECT id FROM t WHERE id = @id AND at = @when AND price = @price"
        " AND `order` IN UNNEST(@orders)"
    )
    assert rows(sql, *named) == [(1,)]
    placed = (
        ScalarQueryParameter(None, "STRING", "it's"),
        ScalarQueryParameter(None, "INT64", None),
    )
    assert rows("SELECT ?, ?", *placed) == [("it's", None)]
    assert rows("SELECT ARRAY_LENGTH(@none)", ArrayQueryParameter("none", "INT64", [])) == [(0,)]
    with pytest.raises(exceptions.BadRequest, match="Query parameter 'missing' not found"):
        rows("SELECT @missing", named[0])


def test_dml_says_how_many_rows_it_changed(rows, run, table):
    inserted = run("INSERT t (id, `order`) VALUES (7, 'x'), (8, 'y')")
    assert (inserted.num_dml_affected_rows, inserted.statement_type) == (2, "INSERT")
    assert run("UPDATE t SET `order` = 'z' WHERE id >= 7").num_dml_affected_rows == 2
    assert run("DELETE FROM t WHERE id = 8").num_dml_affected_rows == 1
    assert rows("SELECT id, `order`, ARRAY_LENGTH(items) FROM t WHERE id > 2") == [(7, "z", 0)]
    with pytest.raises(exceptions.BadRequest, match="NOT NULL"):
        run("INSERT t (`order`) VALUES ('nobody')")


def test_merge_updates_inserts_and_deletes(rows, run, dataset):
    run("CREATE TABLE goal (id INT64, name STRING)")
    run("CREATE TABLE news (id INT64, name STRING)")
    run("INSERT goal VALUES (1, 'old'), (2, 'gone')")
    run("INSERT news VALUES (1, 'new'), (3, 'added')")
    merged = run(
        "MERGE goal g USING news n ON g.id = n.id WHEN MATCHED THEN UPDATE SET name = n.name"
        " WHEN NOT MATCHED THEN INSERT ROW WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )
    assert merged.num_dml_affected_rows == 3
    assert rows("SELECT * FROM goal ORDER BY id") == [(1, "new"), (3, "added")]


def test_tables_are_made_filled_and_dropped_by_sql(client, rows, run, dataset):
    run(
        "CREATE TABLE made (id INT64 NOT NULL, at TIMESTAMP, tags ARRAY<STRING>,"
        " s STRUCT<a STRING, b ARRAY<INT64>>) PARTITION BY DATE(at) CLUSTER BY id"
    )
    found = client.get_table(f"{dataset}.made")
    assert [(f.name, f.field_type, f.mode) for f in found.schema] == [
        ("id", "INTEGER", "REQUIRED"),
        ("at", "TIMESTAMP", "NULLABLE"),
        ("tags", "STRING", "REPEATED"),
        ("s", "RECORD", "NULLABLE"),
    ]
    assert (found.time_partitioning.field, found.clustering_fields) == ("at", ["id"])
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        run("CREATE TABLE made (id INT64)")
    run("CREATE TABLE IF NOT EXISTS made (id INT64)")
    run("CREATE TABLE copied AS SELECT 1 AS a, 'x' AS b")
    run("CREATE OR REPLACE TABLE copied AS SELECT a + 1 AS a FROM copied")
    assert rows("SELECT * FROM copied") == [(2,)]
    run("ALTER TABLE copied ADD COLUMN c STRING")
    assert rows("SELECT * FROM copied") == [(2, None)]
    run("TRUNCATE TABLE copied")
    assert rows("SELECT COUNT(*) FROM copied") == [(0,)]
    run("DROP TABLE copied")
    run("DROP TABLE IF EXISTS copied")
    with pytest.raises(exceptions.NotFound):
        run("SELECT * FROM copied")


def test_a_result_goes_to_a_table(client, rows, run, table):
    into = f"proj.{table.dataset_id}.results"
    run("SELECT id FROM t", destination=into)
    assert client.get_table(into).num_rows == 3
    with pytest.raises(exceptions.Conflict):
        run("SELECT id FROM t", destination=into, write_disposition="WRITE_EMPTY")
    run("SELECT id FROM t", destination=into, write_disposition="WRITE_APPEND")
    assert client.get_table(into).num_rows == 6
    run("SELECT `order` FROM t", destination=into, write_disposition="WRITE_TRUNCATE")
    assert [f.name for f in client.get_table(into).schema] == ["order"]


def test_a_dry_run_changes_nothing_and_says_the_columns(run, client, table):
    config = QueryJobConfig(dry_run=True, default_dataset=f"proj.{table.dataset_id}")
    job = client.query("SELECT id, items FROM t", job_config=config, retry=None)
    assert [field.name for field in job.schema] == ["id", "items"]
    client.query("DELETE FROM t WHERE TRUE", job_config=config, retry=None)
    assert client.get_table(table).num_rows == 3
    with pytest.raises(exceptions.BadRequest, match="nothing"):
        client.query("SELECT nothing FROM t", job_config=config, retry=None)


def test_a_job_is_carried_out_once(client, run, table):
    ident = uuid.uuid4().hex
    sql = f"INSERT {table.dataset_id}.t (id) VALUES (9)"
    client.query(sql, job_id=ident, retry=None, job_retry=None).result()
    with pytest.raises(exceptions.Conflict, match=f"Already Exists: Job proj:US.{ident}"):
        client.query(sql, job_id=ident, retry=None, job_retry=None)
    assert client.get_job(ident).num_dml_affected_rows == 1
    assert client.get_table(table).num_rows == 4


def test_pages_of_a_result_follow_one_another(client):
    sql = "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 45000)) AS x ORDER BY x"
    found = client.query(sql, retry=None).result(page_size=20000)
    assert (found.total_rows, [row.x for row in found]) == (45000, list(range(1, 45001)))


def test_a_query_is_answered_at_once(client):
    found = client.query_and_wait("SELECT 1 AS one, TIMESTAMP '2026-01-01 00:00:00+00' AS at")
    assert [tuple(row) for row in found] == [(1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))]


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("SELEC 1", exceptions.BadRequest, "Syntax error|statements"),
        ("SELECT (1", exceptions.BadRequest, "Syntax error"),
        ("", exceptions.BadRequest, "Syntax error|missing"),
        ("SELECT missing FROM t", exceptions.BadRequest, "missing"),
        ("SELECT * FROM nowhere", exceptions.NotFound, "Not found: Table"),
        ("SELECT 1; SELECT 2", exceptions.MethodNotImplemented, "scripts"),
        ("DECLARE x INT64", exceptions.MethodNotImplemented, "DECLARE"),
        ("CREATE TEMP FUNCTION f(x INT64) AS (x)", exceptions.MethodNotImplemented, "FUNCTION"),
        ("CREATE VIEW v AS SELECT 1", exceptions.MethodNotImplemented, "VIEW"),
        (
            "EXPORT DATA OPTIONS(uri='gs://x/*', format='CSV') AS SELECT 1",
            exceptions.MethodNotImplemented,
            "EXPORT",
        ),
        ("SELECT * FROM `t_*`", exceptions.MethodNotImplemented, "wildcard"),
        ("SELECT ARRAY_AGG(id LIMIT 1) FROM t", exceptions.MethodNotImplemented, "LIMIT"),
        (
            "SELECT * FROM read_csv('/etc/hostname')",
            exceptions.MethodNotImplemented,
            "table functions",
        ),
        (
            "SELECT * FROM INFORMATION_SCHEMA.JOBS",
            exceptions.MethodNotImplemented,
            "INFORMATION_SCHEMA.JOBS",
        ),
        ("SELECT [[1]]", exceptions.MethodNotImplemented, "arrays of arrays"),
        ("SELECT 1 AS a, 2 AS a", exceptions.BadRequest, "Duplicate column names"),
    ],
)
@pytest.mark.usefixtures("table")
def test_what_is_wrong_or_not_served_is_said(run, sql, error, said):
    with pytest.raises(error, match=said):
        run(sql)


def test_legacy_sql_is_refused_by_name(run):
    with pytest.raises(exceptions.MethodNotImplemented, match="legacy SQL"):
        run("SELECT 1", use_legacy_sql=True)


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM '/etc/hostname'", "SELECT read_text('/etc/hostname')"]
)
def test_no_query_reaches_a_file(run, sql):
    with pytest.raises(exceptions.GoogleAPICallError):
        run(sql)
