"""One local cloud for all tests of the engine, and project folders that use it."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import Operation, OperationEvent, Outcome, Summary
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.infra.operation import operate
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from buildflow_nb.local_cloud.record import CloudRecord

# The SDK leaves its event loop open where a program fails, and warns of its own deprecated classes.
ENGINE = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]


@pytest.fixture(scope="session")
def cloud_folder(tmp_path_factory):
    """A folder whose local cloud runs for the session."""
    folder = tmp_path_factory.mktemp("cloud")
    start_cloud(folder)
    yield folder
    stop_cloud(folder)


@pytest.fixture(scope="session")
def cloud(cloud_folder) -> CloudRecord:
    return start_cloud(cloud_folder)


class Project:
    """A project folder with a stack of its own on the shared cloud."""

    def __init__(self, folder: Path, cloud_folder: Path, cloud: CloudRecord) -> None:
        self.folder = folder
        self.cloud = cloud
        config = Config.implicit(cloud_folder)
        env = FlowStack(config, config.stack(None), FlowOptions()).env()
        stack = Stack("local", cloud="local")
        self.deployment = Deployment(
            "shop", stack, folder, ".buildflow/pulumi", env, (), cloud.providers
        )
        self.events: list[OperationEvent] = []

    def on(self, **changes) -> Project:
        """The same folder with another stack, cloud or option."""
        other = Project.__new__(Project)
        other.folder, other.cloud, other.events = self.folder, self.cloud, []
        other.deployment = replace(self.deployment, **changes)
        return other

    def do(self, operation: Operation, *managed: object, listener=lambda _: None) -> Outcome:
        """Carry out an operation with these primitives managed."""
        self.events = []

        def hear(event: OperationEvent) -> None:
            if not isinstance(event, Summary):
                self.events.append(event)
            listener(event)

        summary = operate(replace(self.deployment, managed=managed), operation, hear)
        return Outcome(summary, tuple(self.events))

    def apply(self, *managed: object) -> Outcome:
        return self.do(Operation.APPLY, *managed)

    def preview(self, *managed: object) -> Outcome:
        return self.do(Operation.PREVIEW, *managed)

    def destroy(self, *managed: object) -> Outcome:
        return self.do(Operation.DESTROY, *managed)

    @property
    def state(self) -> str:
        """The state as it lies on the disk."""
        path = self.deployment.state
        assert path is not None
        return path.read_text()


@pytest.fixture
def project(tmp_path, cloud_folder, cloud):
    yield Project(tmp_path, cloud_folder, cloud)
    gc.collect()  # what the SDK leaves open is found in the test that opened it


@pytest.fixture(scope="session")
def sqs(cloud):
    return _client("sqs", cloud)


@pytest.fixture(scope="session")
def s3(cloud):
    return _client("s3", cloud)


def _client(service: str, cloud: CloudRecord):
    return boto3.client(
        service,
        endpoint_url=cloud.endpoints[service],
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="local",  # noqa: S106  (the emulator takes anything)
    )


@pytest.fixture(scope="session")
def queues(sqs):
    """The names of the queues with a prefix."""

    def names(prefix: str) -> list[str]:
        urls = sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        return sorted(url.rpartition("/")[2] for url in urls)

    return names
