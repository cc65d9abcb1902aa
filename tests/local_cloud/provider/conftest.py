"""The provider servers and the emulators behind them, once for all of these tests."""

from __future__ import annotations

import gc

import pytest

from buildflow_nb.local_cloud.provider import ProviderServers
from tests.local_cloud.provider import emulators
from tests.local_cloud.provider.fake_storage import fake_storage
from tests.local_cloud.provider.instance import Instance, made


@pytest.fixture(scope="session")
def ports():
    servers = ProviderServers()
    yield servers.start()
    servers.stop()


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory):
    with emulators.ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="session")
def pubsub_url(tmp_path_factory):
    with emulators.pubsub(tmp_path_factory.mktemp("pubsub")) as url:
        yield url


@pytest.fixture(scope="session")
def storage():
    with fake_storage() as fake:
        yield fake


@pytest.fixture
def swept():
    """Take away what the SDK leaves behind in a failing program: event loops, not closed."""
    yield
    gc.collect()


@pytest.fixture
def aws(ports, aws_url):
    instance = Instance(ports["aws"])
    instance.attach()
    instance.configure(region="us-east-1", endpoints=[{"s3": aws_url, "sqs": aws_url}])
    with instance.channel:
        yield instance


@pytest.fixture
def gcp(ports, storage, pubsub_url):
    instance = Instance(ports["gcp"])
    instance.attach()
    instance.configure(
        project="proj", storageCustomEndpoint=storage.url, pubsubCustomEndpoint=pubsub_url
    )
    with instance.channel:
        yield instance


@pytest.fixture
def topic(gcp):
    yield from made(gcp, "gcp:pubsub/topic:Topic", {"name": "others-topic"})


@pytest.fixture
def bucket(gcp):
    yield from made(gcp, "gcp:storage/bucket:Bucket", {"name": "others-bucket", "location": "US"})
