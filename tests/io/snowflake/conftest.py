"""A server for the tests of the connector, one a session, as the stack's own."""

from __future__ import annotations

import hashlib

import pytest

from buildflow_nb.core.env import Env
from buildflow_nb.io.snowflake import SnowflakeTable
from buildflow_nb.io.snowflake.client import connect
from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from tests.local_cloud.servers import GivenServices, served


class Shop:
    """A server and tables of it, one for each folder of a test."""

    def __init__(self, server):
        self.server = server
        self.env = Env(cloud="local", services=GivenServices(server))

    def table(self, folder, **words):
        name = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        return SnowflakeTable(f'{name} "or"der', "Shop", "Raw", **words)

    def query(self, sql, table):
        connection = connect(table._account(), self.env)
        try:
            return (
                connection.cursor().execute(sql.replace("@", table._account().full_name)).fetchall()
            )
        finally:
            connection.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    with served(SNOWFLAKE, tmp_path_factory.mktemp("snowflake")) as server:
        yield Shop(server)
