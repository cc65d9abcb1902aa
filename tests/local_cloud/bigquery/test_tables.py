"""Datasets, tables and rows through Google's client: what it says of the real one holds here."""

from __future__ import annotations

import datetime as dt
import urllib.error
import urllib.request
from decimal import Decimal

import pytest
from google.api_core import exceptions
from google.cloud.bigquery import SchemaField, Table, TimePartitioning

NESTED = [
    SchemaField("id", "INTEGER", "REQUIRED"),
    SchemaField("at", "TIMESTAMP"),
    SchemaField("order", "STRING"),
    SchemaField("tags", "STRING", "REPEATED"),
    SchemaField(
        "items",
        "RECORD",
        "REPEATED",
        fields=[SchemaField("sku", "STRING", "REQUIRED"), SchemaField("n", "INTEGER")],
    ),
]
ALL = [
    SchemaField("i", "INTEGER"),
    SchemaField("f", "FLOAT"),
    SchemaField("b", "BOOLEAN"),
    SchemaField("s", "STRING"),
    SchemaField("y", "BYTES"),
    SchemaField("d", "DATE"),
    SchemaField("t", "TIME"),
    SchemaField("dt", "DATETIME"),
    SchemaField("ts", "TIMESTAMP"),
    SchemaField("n", "NUMERIC"),
    SchemaField("j", "JSON"),
]


@pytest.fixture
def nested(client, dataset):
    return client.create_table(Table(f"proj.{dataset}.nested", NESTED))


def insert(client, table, rows, **options):
    return client.insert_rows_json(table, rows, retry=None, timeout=10, **options)


def rows_of(client, table):
    return [dict(row) for row in client.list_rows(table, retry=None, timeout=10)]


def test_a_dataset_is_made_listed_changed_and_deleted(client, dataset):
    assert dataset in {each.dataset_id for each in client.list_datasets()}
    found = client.get_dataset(dataset)
    found.labels = {"team": "shop"}
    found.description = "orders"
    client.update_dataset(found, ["labels", "description"])
    again = client.get_dataset(dataset)
    assert (again.labels, again.description) == ({"team": "shop"}, "orders")
    with pytest.raises(exceptions.Conflict, match=f"Already Exists: Dataset proj:{dataset}"):
        client.create_dataset(dataset)
    client.create_table(Table(f"proj.{dataset}.t", [SchemaField("a", "STRING")]))
    with pytest.raises(exceptions.BadRequest, match="still in use"):
        client.delete_dataset(dataset)
    client.delete_dataset(dataset, delete_contents=True)
    with pytest.raises(exceptions.NotFound, match=f"Not found: Dataset proj:{dataset}"):
        client.get_dataset(dataset)


def test_two_projects_have_datasets_of_one_name(server, client, dataset):
    other = server.client_of("elsewhere")
    other.create_dataset(dataset)
    other.create_table(Table(f"elsewhere.{dataset}.t", [SchemaField("a", "STRING")]))
    assert list(client.list_tables(dataset)) == []
    assert [each.table_id for each in other.list_tables(dataset)] == ["t"]
    other.delete_dataset(dataset, delete_contents=True)
    other.close()


def test_a_table_keeps_its_schema(client, nested):
    assert client.get_table(nested.reference).schema == NESTED


def test_a_table_that_is_there_is_not_made_again(client, nested):
    with pytest.raises(exceptions.Conflict, match="Already Exists: Table"):
        client.create_table(nested)
    assert client.create_table(nested, exists_ok=True).table_id == "nested"


def test_a_missing_table_is_not_found(client, dataset):
    with pytest.raises(exceptions.NotFound, match="Not found: Table"):
        client.get_table(f"{dataset}.missing")


def test_partitions_and_clusters_are_kept(client, dataset):
    table = Table(f"proj.{dataset}.parts", NESTED)
    table.time_partitioning = TimePartitioning(field="at")
    table.clustering_fields = ["id"]
    client.create_table(table)
    found = client.get_table(table.reference)
    assert (found.time_partitioning.field, found.clustering_fields) == ("at", ["id"])


def test_a_partition_of_no_column_is_refused(client, dataset):
    table = Table(f"proj.{dataset}.parts", NESTED)
    table.time_partitioning = TimePartitioning(field="missing")
    with pytest.raises(exceptions.BadRequest, match="missing"):
        client.create_table(table)


def test_columns_are_added_in_place(client, nested):
    insert(client, nested, [{"id": 1, "items": [{"sku": "a"}]}])
    items = NESTED[4]
    grown = SchemaField(
        "items", "RECORD", "REPEATED", fields=[*items.fields, SchemaField("price", "FLOAT")]
    )
    nested.schema = [*NESTED[:4], grown, SchemaField("new", "STRING", "REPEATED")]
    client.update_table(nested, ["schema"])
    assert (
        insert(client, nested, [{"id": 2, "new": ["x"], "items": [{"sku": "b", "price": 1}]}]) == []
    )
    rows = rows_of(client, client.get_table(nested.reference))
    assert [row["new"] for row in rows] == [[], ["x"]]
    assert [row["items"][0]["price"] for row in rows] == [None, 1.0]


def test_a_required_column_may_become_nullable(client, nested):
    nested.schema = [SchemaField("id", "INTEGER"), *NESTED[1:]]
    client.update_table(nested, ["schema"])
    assert insert(client, nested, [{"order": "x"}]) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (NESTED[:4], "Field items is missing in new schema"),
        ([SchemaField("id", "STRING", "REQUIRED"), *NESTED[1:]], "from INTEGER to STRING"),
        ([*NESTED, SchemaField("must", "STRING", "REQUIRED")], "Cannot add required fields"),
        ([NESTED[0], SchemaField("at", "TIMESTAMP", "REQUIRED"), *NESTED[2:]], "changed mode"),
    ],
)
def test_other_changes_of_columns_are_refused(client, nested, schema, said):
    nested.schema = schema
    with pytest.raises(exceptions.BadRequest, match=said):
        client.update_table(nested, ["schema"])
    assert client.get_table(nested.reference).schema == NESTED


def test_a_change_of_an_older_version_is_refused(client, nested):
    stale = client.get_table(nested.reference)
    nested.description = "first"
    client.update_table(nested, ["description"])
    stale.description = "second"
    with pytest.raises(exceptions.PreconditionFailed):
        client.update_table(stale, ["description"])


def test_rows_come_back_as_what_they_were(client, dataset):
    table = client.create_table(Table(f"proj.{dataset}.all", ALL))
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)
    row = {
        "i": 2**62,
        "f": 1.5,
        "b": True,
        "s": "Zoë \U0001f600",
        "y": "AP8=",
        "d": "2026-01-02",
        "t": "03:04:05.678901",
        "dt": moment.isoformat(),
        "ts": moment.isoformat() + "Z",
        "n": "12345678901234567890.123456789",
        "j": '{"a": [1, null]}',
    }
    assert insert(client, table, [row, {}]) == []
    first, second = rows_of(client, table)
    assert first == {
        "i": 2**62,
        "f": 1.5,
        "b": True,
        "s": "Zoë \U0001f600",
        "y": b"\x00\xff",
        "d": moment.date(),
        "t": moment.time(),
        "dt": moment,
        "ts": moment.replace(tzinfo=dt.UTC),
        "n": Decimal("12345678901234567890.123456789"),
        "j": {"a": [1, None]},
    }
    assert set(second.values()) == {None}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": 1, "nobody": 2}, "no such field: nobody."),
        ({"order": "x"}, "Missing required field: id."),
        ({"id": "one"}, "Cannot convert value to integer"),
        ({"id": 1.5}, "Cannot convert value to integer"),
        ({"id": 2**63}, "Cannot convert value to integer"),
        ({"id": 1, "at": "yesterday"}, "timestamp"),
        ({"id": 1, "tags": "x"}, "repeated field: tags"),
        ({"id": 1, "order": ["x"]}, "Array specified for non-repeated field: order."),
        ({"id": 1, "items": [{"n": 1}]}, "Missing required field: items.sku."),
        ({"id": 1, "items": [{"sku": "a", "x": 1}]}, "no such field: items.x."),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_stops_the_others(client, nested, row, said):
    errors = insert(client, nested, [{"id": 1}, row, {"id": 3}])
    assert [each["index"] for each in errors] == [0, 1, 2]
    assert said in errors[1]["errors"][0]["message"]
    assert [errors[i]["errors"][0]["reason"] for i in range(3)] == ["stopped", "invalid", "stopped"]
    assert rows_of(client, nested) == []
    insert(client, nested, [{"id": 1}, row, {"id": 3}], skip_invalid_rows=True)
    assert [each["id"] for each in rows_of(client, nested)] == [1, 3]


def test_unknown_values_are_left_out_when_asked(client, nested):
    row = {"id": 1, "nobody": 2, "items": [{"sku": "a", "x": 1}]}
    assert insert(client, nested, [row], ignore_unknown_values=True) == []
    assert rows_of(client, nested)[0]["items"] == [{"sku": "a", "n": None}]


def test_a_row_of_a_known_insert_id_is_not_stored_again(client, nested):
    for _ in range(2):
        assert insert(client, nested, [{"id": 1}, {"id": 2}], row_ids=["a", "b"]) == []
    assert len(rows_of(client, nested)) == 2


def test_pages_of_rows_follow_one_another(client, nested):
    insert(client, nested, [{"id": i} for i in range(25)])
    pages = [[row["id"] for row in page] for page in client.list_rows(nested, page_size=10).pages]
    assert list(map(len, pages)) == [10, 10, 5]
    assert [i for page in pages for i in page] == list(range(25))
    chosen = client.list_rows(nested, selected_fields=[NESTED[0]], start_index=20)
    assert [dict(row) for row in chosen] == [{"id": i} for i in range(20, 25)]
    assert client.get_table(nested.reference).num_rows == 25


@pytest.mark.parametrize("kind", ["GEOGRAPHY", "BIGNUMERIC", "INTERVAL", "RANGE"])
def test_types_that_are_not_served_are_refused_by_name(client, dataset, kind):
    table = Table(f"proj.{dataset}.other", [{"name": "a", "type": kind}])
    with pytest.raises(exceptions.MethodNotImplemented, match=f"columns of type {kind}"):
        client.create_table(table)


def test_names_that_differ_in_case_alone_are_refused(client, nested):
    twin = Table(f"proj.{nested.dataset_id}.NESTED", NESTED)
    with pytest.raises(exceptions.MethodNotImplemented, match="differ in case alone"):
        client.create_table(twin)


@pytest.mark.parametrize("given", [None, "Bearer other", "Basic bWFkZS11cA=="])
def test_without_the_password_nothing_is_answered(server, given):
    headers = {"Authorization": given} if given else {}
    url = f"{server.url}/bigquery/v2/projects/proj/datasets"
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)  # noqa: S310
    caught.value.close()
