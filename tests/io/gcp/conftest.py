"""The local cloud that these tests talk to, and Google's own clients on the other side."""

from __future__ import annotations

import itertools
import re

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from buildflow_nb.core.primitive import Env
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.io import contract_runs, contract_sinks, contract_sources, driving
from tests.io.gcp.vendor import PROJECT, PubSub


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    yield start_cloud(folder)
    stop_cloud(folder)


def env_of(**endpoints: str) -> Env:
    """The stack `local` at these endpoints."""
    return Env(endpoints=endpoints, gcp_project=PROJECT)


@pytest.fixture
def env(cloud, monkeypatch):
    """The local cloud's stack, which the contracts take for the default one."""
    ends = cloud.endpoints
    found = env_of(pubsub=ends["pubsub"], storage=ends["storage"])
    for module in (contract_runs, contract_sinks, contract_sources, driving):
        monkeypatch.setattr(module, "Env", lambda: found)
    return found


@pytest.fixture(scope="session")
def pubsub(cloud):
    """Google's clients of Pub/Sub."""
    with PubSub(cloud.endpoints["pubsub"]) as clients:
        yield clients


@pytest.fixture(scope="session")
def gcs(cloud):
    """Google's client of Cloud Storage."""
    client = storage.Client(
        PROJECT,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": cloud.endpoints["storage"]},
    )
    yield client
    client.close()


_numbers = itertools.count()


@pytest.fixture
def name(request):
    """A name that no other test has, for topics, subscriptions and buckets."""
    word = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    return f"{word}-{next(_numbers)}"
