"""Datasets and tables as declarations, and the resources that they become."""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, check_managed, owned_by, parents_of
from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryQuery, BigQueryTable
from tests.io.contract import ConfigContract
from tests.io.gcp.test_resources import declared, loops

__all__ = ("loops",)  # a fixture

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* has been deprecated in favor of:DeprecationWarning"
)
DATASET = BigQueryDataset("p", "shop")


@dataclass
class Inner:
    sku: str
    n: int | None


@dataclass
class Order:
    id: int
    at: dt.datetime
    items: list[Inner]
    note: str | None = None


class TestDataset(ConfigContract):
    def make(self, folder):
        return BigQueryDataset(None, "shop")


class TestTable(ConfigContract):
    def make(self, folder):
        return BigQueryTable(DATASET, "orders", schema=Order, partition="at", cluster=["id"])


class TestQuery(ConfigContract):
    def make(self, folder):
        return BigQueryQuery("SELECT 1 AS x", "p")


def test_options_are_buildflows():
    table = BigQueryTable(DATASET, "orders")
    assert (table.batch_size, table.destroy_protection, table.schema) == (10_000, False, None)
    other = table.options(destroy_protection=True, schema=Order, batch_size=5)
    assert (other.batch_size, other.destroy_protection, other.schema) == (5, True, Order)
    assert other.max_push == 5
    assert other.options().schema is Order


def test_names_are_those_of_the_stack_where_none_is_given():
    table = BigQueryTable(BigQueryDataset(None, "shop"), "orders")
    assert str(table.name_in(Env(gcp_project="stack"))) == "stack.shop.orders"
    assert (table.primitive_id, table.label) == ("shop.orders", "shop.orders")
    with pytest.raises(DeclarationError, match="no Google Cloud project is known"):
        _ = table.table_id
    assert table.cloud_console_url().startswith("https://console.cloud.google.com/bigquery?")


def test_a_table_of_the_projects_own():
    options = SimpleNamespace(default_project_id="p")
    table = BigQueryTable.from_gcp_options(options)
    assert table.dataset == BigQueryDataset("p", "buildflow_managed")
    assert table.table_name.startswith("table_")
    assert owned_by(table) == (table.dataset,)
    assert BigQueryTable.from_gcp_options(options, table_name="t").table_name == "t"


def test_only_load_jobs_wait_for_more():
    assert BigQueryTable(DATASET, "t").linger_s == 0
    assert BigQueryTable(DATASET, "t", method="load").linger_s == 60


@dataclass
class Doubled:
    A: int
    a: int


@dataclass
class Nested:
    x: list[list[int]]


@dataclass
class Holes:
    x: list[int | None]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BigQueryDataset("p", "a-b"), "a dataset's name has letters"),
        (lambda: BigQueryDataset("p", 3), "must be a text"),
        (lambda: BigQueryTable("shop", "t"), "dataset must be a BigQueryDataset"),
        (lambda: BigQueryTable(DATASET, "a/b"), "a table's name has"),
        (lambda: BigQueryTable(DATASET, "t", method="x"), "storage_write, load, insert_all"),
        (lambda: BigQueryTable(DATASET, "t", batch_size=0), "batch_size must be at least 1"),
        (lambda: BigQueryTable(DATASET, "t", schema=dict), "must say its columns"),
        (lambda: BigQueryTable(DATASET, "t", schema=Doubled), "'A' and 'a' are one"),
        (lambda: BigQueryTable(DATASET, "t", schema=Nested), "no arrays that hold arrays"),
        (lambda: BigQueryTable(DATASET, "t", schema=Holes), "that hold missing values"),
        (
            lambda: BigQueryTable(DATASET, "t", schema=Order, partition="id"),
            "must be a date or a datetime",
        ),
        (lambda: BigQueryTable(DATASET, "t", schema=Order, cluster="x"), "'x' is no column"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, said):
    with pytest.raises(DeclarationError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery_storage_v1", None)
    with pytest.raises(DeclarationError, match=r"pip install 'buildflow_nb\[bigquery\]'"):
        BigQueryTable(DATASET, "orders")


def test_a_table_without_a_type_cannot_be_managed():
    with pytest.raises(DeclarationError, match="schema=YourType"):
        check_managed(BigQueryTable(DATASET, "orders"))
    check_managed(BigQueryTable(DATASET, "orders", schema=Order))
    assert parents_of(BigQueryTable(DATASET, "orders")) == (DATASET,)


@pytest.mark.usefixtures("loops")
def test_the_resources_are_those_of_the_type():
    table = BigQueryTable(DATASET, "orders", partition="at", cluster=["id"], schema=Order)
    mocks, _ = declared(DATASET, table.options(destroy_protection=True))
    assert mocks.made["p.shop"] == (
        "gcp:bigquery/dataset:Dataset",
        {"datasetId": "shop", "project": "p"},
    )
    kind, inputs = mocks.made["p.shop.orders"]
    assert kind == "gcp:bigquery/table:Table"
    assert json.loads(inputs.pop("schema")) == [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
        {
            "name": "items",
            "type": "RECORD",
            "mode": "REPEATED",
            "fields": [
                {"name": "sku", "type": "STRING", "mode": "REQUIRED"},
                {"name": "n", "type": "INTEGER", "mode": "NULLABLE"},
            ],
        },
        {"name": "note", "type": "STRING", "mode": "NULLABLE"},
    ]
    assert inputs == {
        "datasetId": "shop",
        "tableId": "orders",
        "project": "p",
        "deletionProtection": True,
        "clusterings": ["id"],
        "timePartitioning": {"type": "DAY", "field": "at"},
    }
