"""A server of the local cloud's BigQuery, and the stack that these tests run in."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from google.cloud.bigquery import SchemaField, Table

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.io.columns.element_columns import columns_of
from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryTable
from buildflow_nb.io.gcp.bigquery.schema import schema_json
from tests.io import contract_runs, contract_sinks, contract_sources, driving
from tests.local_cloud.bigquery.servers import PASSWORD, start, stop

PROJECT = "proj"


class Services:
    """The stores of a stack, of which one runs."""

    def __init__(self, server):
        self.server = server

    def wake(self, service):
        return self.server.url if service == "bigquery" else self.server.storage_url

    def password(self, store):
        assert store == "bigquery"
        return Secret(PASSWORD)


class Shop:
    """A server, and tables of it."""

    def __init__(self, folder):
        self.folder = folder
        self.server = start(folder)
        self.services = Services(self.server)
        self.env = Env(gcp_project=PROJECT, services=self.services, cloud="local")
        self.client.create_dataset("shop")

    @property
    def client(self):
        return self.server.client

    def restart(self, *, kill=False):
        ports = ("--port", str(self.server.port), "--storage-port", str(self.server.storage_port))
        stop(self.server, kill=kill)
        self.server = self.services.server = start(self.folder, *ports)

    def name(self, folder):
        return f"order-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"

    def table(self, folder, element=None, **words):
        """A primitive, whose table is made if it is not there."""
        primitive = BigQueryTable(BigQueryDataset(None, "shop"), self.name(folder), **words)
        if element is not None:
            self.make(primitive, element)
        return primitive

    def make(self, primitive, element):
        """Make the table of a primitive from a type."""
        import json

        fields = json.loads(schema_json(columns_of(element).columns))
        schema = [SchemaField.from_api_repr(field) for field in fields]
        name = f"{PROJECT}.shop.{primitive.table_name}"
        self.client.create_table(Table(name, schema), exists_ok=True, timeout=10)

    def rows(self, primitive, columns="*"):
        sql = f"SELECT {columns} FROM `shop`.`{primitive.table_name}`"
        job = self.client.query(sql, retry=None, job_retry=None, timeout=10)
        return [tuple(row.values()) for row in job.result(retry=None, timeout=10)]


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bigquery")


@pytest.fixture(scope="session")
def shop(server_folder):
    shop = Shop(server_folder)
    yield shop
    stop(shop.server)


@pytest.fixture
def env(shop, monkeypatch):
    """The stack, which the contracts take for the default one."""
    for module in (contract_runs, contract_sinks, contract_sources, driving):
        monkeypatch.setattr(module, "Env", lambda **words: replace(shop.env, **words))
    return shop.env


@pytest.fixture
def noting(env, tmp_path):
    """The stack with a folder for a processor's notes."""
    return replace(env, positions=tmp_path / "positions")
