"""The emulator that these tests talk to, and boto3 on the other side."""

from __future__ import annotations

import itertools
import re

import boto3
import pytest

from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.primitive import Env
from tests.io import contract_runs, contract_sinks, contract_sources, driving
from tests.io.aws.emulator import Emulator

REGION = "us-east-1"
KEYS = AWSCredentials(Secret("test"), Secret("test"))


def env_of(url: str) -> Env:
    """The stack `local` at this URL."""
    return Env(endpoints=dict.fromkeys(("sqs", "s3", "sts"), url), aws=KEYS, aws_region=REGION)


def boto(service: str, url: str):
    """The vendor's own client."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  (the emulator takes anything)
    )


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture
def env(emulator, monkeypatch):
    """The emulator's stack, which the contracts take for the default one."""
    found = env_of(emulator.url)
    for module in (contract_runs, contract_sinks, contract_sources, driving):
        monkeypatch.setattr(module, "Env", lambda: found)
    return found


@pytest.fixture(scope="session")
def sqs(emulator):
    return boto("sqs", emulator.url)


@pytest.fixture(scope="session")
def s3(emulator):
    return boto("s3", emulator.url)


_numbers = itertools.count()


@pytest.fixture
def name(request):
    """A name that no other test has, for queues and buckets."""
    word = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    return f"{word}-{next(_numbers)}"
