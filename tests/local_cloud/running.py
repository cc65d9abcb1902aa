"""A project folder whose local cloud is stopped after a test, and how to look at that cloud."""

from __future__ import annotations

import time

import boto3
import psutil
import pytest

from buildflow_nb.local_cloud.client import stop_cloud

__all__ = ("DEADLINE_S", "descendants", "project", "sqs", "until")

DEADLINE_S = 30.0


@pytest.fixture
def project(tmp_path):
    yield tmp_path
    stop_cloud(tmp_path)


def sqs(record):
    return boto3.client(
        "sqs",
        endpoint_url=record.endpoints["sqs"],
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="local",  # noqa: S106  (the emulator takes anything)
    )


def until(condition, what: str):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def descendants(record) -> list[psutil.Process]:
    return psutil.Process(record.process.pid).children(recursive=True)
