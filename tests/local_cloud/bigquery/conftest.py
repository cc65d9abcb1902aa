"""One server for all of these tests, and a dataset of its own for each."""

from __future__ import annotations

import uuid

import pytest

from tests.local_cloud.bigquery.servers import running


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def client(server):
    return server.client


@pytest.fixture
def dataset(client):
    name = f"d_{uuid.uuid4().hex[:8]}"
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)
