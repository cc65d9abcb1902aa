"""A bucket of the local cloud as a person has it: the real engine sees what was changed by hand."""

from __future__ import annotations

import os
from functools import partial
from unittest import mock

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.local_cloud.provider.conftest import swept  # noqa: F401  (a fixture)
from tests.local_cloud.provider.engine import MARKS, Project, ops, paths
from tests.local_cloud.provider.programs import GCPProgram

pytestmark = MARKS


@pytest.fixture
def cloud(tmp_path):
    yield start_cloud(tmp_path)
    stop_cloud(tmp_path)


def every(op):
    return dict.fromkeys(GCPProgram.ALL, op)


def test_drift_is_seen_and_mended_and_a_restart_is_none(cloud, tmp_path):
    url, pubsub = (cloud.endpoints[name] for name in ("storage", "pubsub"))
    program = partial(GCPProgram, storage_url=f"{url}/storage/v1/", pubsub_url=f"{pubsub}/v1/")
    project = Project(tmp_path / "project", dict(cloud.providers))
    assert ops(project.up(program())) == every("create")
    assert ops(project.refresh(program())) == every("same")

    with mock.patch.dict(os.environ, {"STORAGE_EMULATOR_HOST": url}):
        client = storage.Client("proj", credentials=AnonymousCredentials())
    with client:
        bucket = client.get_bucket(project.outputs()["Lake"])
        assert bucket.location == "US"
        bucket.labels = {**bucket.labels, "team": "theirs"}
        bucket.storage_class = "COLDLINE"
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.patch()
        told = project.refresh(program())
        assert ops(told) == {**every("same"), "Lake": "update"}
        told = project.up(program())
        assert paths(told)["Lake"].keys() >= {"labels.team", "storageClass"}
        bucket.reload()
        assert (bucket.labels["team"], bucket.storage_class) == ("core", "STANDARD")

    stop_cloud(tmp_path)
    again = start_cloud(tmp_path)
    assert again.endpoints == cloud.endpoints
    found = ",".join(f"{name}:{port}" for name, port in again.providers.items())
    project.stack.workspace.env_vars["PULUMI_DEBUG_PROVIDERS"] = found
    assert ops(project.refresh(program())) == every("same")
    assert ops(project.destroy(program())) == every("delete")
