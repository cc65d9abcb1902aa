"""Each type of BigQuery by itself, on a server of its own."""

from __future__ import annotations

import json
from typing import ClassVar

import grpc
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.provider import ProviderServers
from buildflow_nb.local_cloud.provider.gcp import GCP
from tests.local_cloud.bigquery.servers import PASSWORD, running
from tests.local_cloud.provider.contract import ResourceContract
from tests.local_cloud.provider.instance import Instance, made

pytestmark = pytest.mark.emulator

DATASET, TABLE = "gcp:bigquery/dataset:Dataset", "gcp:bigquery/table:Table"
FIELDS = [
    {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "NULLABLE"},
]
ADDED = [*FIELDS, {"name": "note", "type": "STRING", "mode": "NULLABLE"}]


class Stores:
    """A local cloud's stores, of which one is there."""

    def __init__(self, server):
        self._server = server
        self.woken = 0

    def wake(self, service):
        assert service == "bigquery"
        self.woken += 1
        return self._server.url

    def password(self, store):
        assert store == "bigquery"
        return Secret(PASSWORD)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture(scope="module")
def stores(server):
    return Stores(server)


@pytest.fixture(scope="module")
def port(stores):
    servers = ProviderServers([GCP], stores)
    yield servers.start()["gcp"]
    servers.stop()


@pytest.fixture
def gcp(port, server):
    instance = Instance(port)
    instance.attach()
    instance.configure(project="proj", bigQueryCustomEndpoint=f"{server.url}/bigquery/v2/")
    with instance.channel:
        yield instance


@pytest.fixture
def shop(gcp):
    inputs = {"datasetId": "shop", "deleteContentsOnDestroy": True}
    yield from made(gcp, DATASET, inputs)


class Contract(ResourceContract):
    @pytest.fixture
    def instance(self, gcp):
        return gcp

    def schema(self):
        return next(r.schema for r in GCP.resources if r.schema.token == self.token)


class TestDataset(Contract):
    token = DATASET
    change: ClassVar = {"description": "orders", "labels": {"team": "shop"}}
    replacing: ClassVar = {"datasetId": "other", "location": "EU", "project": "elsewhere"}

    @pytest.fixture
    def inputs(self):
        return {"datasetId": "made_here"}


class TestTable(Contract):
    token = TABLE
    change: ClassVar = {"description": "orders", "labels": {"team": "shop"}}
    replacing: ClassVar = {"datasetId": "other", "tableId": "other", "project": "elsewhere"}

    @pytest.fixture
    def inputs(self, shop):
        return {
            "datasetId": "shop",
            "tableId": "orders",
            "schema": json.dumps(FIELDS),
            "deletionProtection": False,
            "clusterings": ["id"],
            "timePartitioning": {"type": "DAY", "field": "at"},
        }

    def test_its_whole_life(self, instance, inputs):
        # An import cannot know that it is not protected, as with the published provider.
        protected = {**inputs, "deletionProtection": True}
        checked = instance.check(self.token, protected)
        resource_id, outputs = instance.create(self.token, checked)
        imported = instance.read(self.token, resource_id)[1]
        assert not instance.diff(self.token, resource_id, outputs, imported, checked).detailedDiff
        with pytest.raises(grpc.RpcError, match="is protected"):
            instance.delete(self.token, resource_id, outputs)
        open_ = instance.check(self.token, inputs)
        outputs = instance.update(self.token, resource_id, outputs, checked, open_)
        assert instance.read(self.token, resource_id, outputs, open_)[1:] == (open_, outputs)
        self.changes_in_place(instance, inputs, resource_id, outputs, open_)
        instance.delete(self.token, resource_id, outputs)
        assert instance.read(self.token, resource_id, outputs, open_)[0] == ""
        instance.delete(self.token, resource_id, outputs)


@pytest.fixture
def table(gcp, shop):
    inputs = {
        "datasetId": "shop",
        "tableId": "orders",
        "schema": json.dumps(FIELDS),
        "deletionProtection": False,
    }
    checked = gcp.check(TABLE, inputs)
    resource_id, outputs = gcp.create(TABLE, checked)
    return resource_id, inputs, checked, outputs


def test_columns_are_added_in_place(gcp, table, server):
    resource_id, inputs, checked, outputs = table
    news = gcp.check(TABLE, {**inputs, "schema": json.dumps(ADDED)}, checked.values)
    answer = gcp.diff(TABLE, resource_id, outputs, checked, news)
    assert (list(answer.diffs), list(answer.replaces)) == (["schema"], [])
    gcp.update(TABLE, resource_id, outputs, checked, news)
    found = server.client.get_table("shop.orders")
    assert [field.name for field in found.schema] == ["id", "at", "note"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (FIELDS[:1], "Field at is missing in new schema"),
        ([{**FIELDS[0], "type": "STRING"}, FIELDS[1]], "has changed type from INTEGER to STRING"),
        ([*FIELDS, {**ADDED[2], "mode": "REQUIRED"}], "Cannot add required fields"),
    ],
)
def test_other_changes_of_columns_are_refused_with_the_reason(gcp, table, fields, said):
    resource_id, inputs, checked, outputs = table
    news = gcp.check(TABLE, {**inputs, "schema": json.dumps(fields)}, checked.values)
    with pytest.raises(grpc.RpcError, match=said):
        gcp.update(TABLE, resource_id, outputs, checked, news)


def test_a_schema_in_other_words_is_no_drift(gcp, shop):
    words = [
        {"type": "INT64", "name": "id", "mode": "REQUIRED"},
        {"name": "at", "type": "timestamp"},
    ]
    inputs = {"datasetId": "shop", "tableId": "words", "schema": json.dumps(words)}
    checked = gcp.check(TABLE, inputs)
    resource_id, outputs = gcp.create(TABLE, checked)
    assert gcp.read(TABLE, resource_id, outputs, checked) == (resource_id, checked, outputs)


def test_what_others_have_changed_is_drift(gcp, table, server):
    resource_id, _, checked, outputs = table
    found = server.client.get_table("shop.orders")
    found.description = "by another"
    server.client.update_table(found, ["description"])
    read = gcp.read(TABLE, resource_id, outputs, checked)[1]
    answer = gcp.diff(TABLE, resource_id, outputs, read, checked)
    assert list(answer.diffs) == ["description"]


def test_a_dataset_with_tables_stays_unless_that_was_applied(gcp, server):
    checked = gcp.check(DATASET, {"datasetId": "full"})
    resource_id, outputs = gcp.create(DATASET, checked)
    server.client.query("CREATE TABLE full.t (a INT64)").result()
    with pytest.raises(grpc.RpcError, match="still in use"):
        gcp.delete(DATASET, resource_id, outputs)
    news = gcp.check(
        DATASET, {"datasetId": "full", "deleteContentsOnDestroy": True}, checked.values
    )
    outputs = gcp.update(DATASET, resource_id, outputs, checked, news)
    gcp.delete(DATASET, resource_id, outputs)
    assert gcp.read(DATASET, resource_id, outputs, news)[0] == ""


def test_one_that_is_there_already_is_not_made_again(gcp, shop):
    checked = gcp.check(DATASET, {"datasetId": "shop"})
    with pytest.raises(grpc.RpcError, match="Already Exists: Dataset proj:shop"):
        gcp.create(DATASET, checked)


def test_the_store_is_started_when_a_resource_needs_it(gcp, stores):
    before = stores.woken
    checked = gcp.check(DATASET, {"datasetId": "looked_at"})
    gcp.create(DATASET, checked, preview=True)
    assert stores.woken == before
    resource_id, outputs = gcp.create(DATASET, checked)
    assert stores.woken > before
    gcp.delete(DATASET, resource_id, outputs)
