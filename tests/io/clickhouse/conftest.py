"""A server for the tests of the connector, one a session."""

from __future__ import annotations

import hashlib

import clickhouse_connect
import pytest

from buildflow_nb.io.clickhouse import ClickhouseTable
from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from tests.local_cloud.servers import PASSWORD, served


class Shop:
    """A server and tables of it, one for each folder of a test."""

    def __init__(self, server):
        self.server = server

    def table(self, folder, **words):
        name = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        host = f"127.0.0.1:{self.server.port}"
        return ClickhouseTable("sh`op", f"{name} or`der", host, "default", PASSWORD, **words)

    def query(self, sql, table=None):
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=self.server.port, password=PASSWORD.reveal(), username="default"
        )
        with client:
            named = "" if table is None else table._server().full_name
            return client.query(sql.replace("@", named)).result_rows


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    with served(CLICKHOUSE, tmp_path_factory.mktemp("clickhouse")) as server:
        yield Shop(server)
