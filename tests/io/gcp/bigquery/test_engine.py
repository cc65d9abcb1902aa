"""The whole way: a flow applies a dataset and a table, writes and reads them, and destroys them."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from dataclasses import dataclass

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import InfraError
from buildflow_nb.io.gcp import BigQueryDataset, BigQueryQuery, BigQueryTable
from buildflow_nb.io.gcp.bigquery.access import access, rest_client
from buildflow_nb.io.local import Pulse
from buildflow_nb.local_cloud.client import stop_cloud
from tests.io.flows import until

pytestmark = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    # The SDK leaves its event loop open, and warns of its own deprecated classes.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]


@dataclass
class Priced:
    id: int
    at: dt.datetime
    order: str


@dataclass
class Grown(Priced):
    note: str | None = None


@dataclass
class Wrong:
    id: str


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    stop_cloud(tmp_path)


def declared(schema):
    table = BigQueryTable(BigQueryDataset("proj", "shop"), "orders", partition="at", cluster=["id"])
    flow = Flow("shop")
    flow.manage(table.dataset, table.options(schema=schema))
    return flow, table


def client(flow):
    return closing(rest_client(access(flow.place.env()), "proj"))


@pytest.mark.usefixtures("folder")
def test_from_apply_to_destroy():
    flow, table = declared(Priced)
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)

    @flow.consumer(source=Pulse([1, 2, 3], 0.01), sink=table)
    def price(number: int) -> Priced:
        return Priced(number, when, "x")

    flow.apply(yes=True)
    with client(flow) as rest:
        found = rest.get_table("shop.orders")
        assert [(f.name, f.field_type, f.mode) for f in found.schema] == [
            ("id", "INTEGER", "REQUIRED"),
            ("at", "TIMESTAMP", "REQUIRED"),
            ("order", "STRING", "REQUIRED"),
        ]
        assert (found.time_partitioning.field, found.clustering_fields) == ("at", ["id"])
        assert flow.apply(yes=True).nothing_to_do

        handle = flow.run(block=False, serve_port=0)
        until(lambda: rest.get_table("shop.orders").num_rows > 3)
        handle.stop()

    grown, _ = declared(Grown)
    seen = []

    @grown.consumer(source=BigQueryQuery("SELECT id, note FROM shop.orders ORDER BY id", "proj"))
    def note(row: dict) -> None:
        seen.append(row)

    grown.apply(yes=True)
    with client(grown) as rest:
        assert [f.name for f in rest.get_table("shop.orders").schema][-1] == "note"
    grown.run(block=False, serve_port=0).wait(20)
    assert seen[0] == {"id": 1, "note": None}

    wrong = Flow("shop")
    wrong.manage(table.dataset, BigQueryTable(table.dataset, "orders", schema=Wrong))
    with pytest.raises(InfraError, match=r"changed type|missing in new schema"):
        wrong.apply(yes=True)
    grown.destroy(yes=True)
    with client(grown) as rest:
        assert list(rest.list_datasets()) == []
