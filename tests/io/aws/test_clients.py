"""What a client takes from the stack, and what from the environment."""

from __future__ import annotations

import pytest
from botocore.exceptions import ProfileNotFound

from buildflow_nb.core.credentials import AWSCredentials, Secret
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.aws import SQSQueue, clients
from buildflow_nb.io.aws.clients import connect
from tests.io.aws.conftest import env_of
from tests.io.flows import running, until

FILES = """[profile theirs]
region = ap-south-1
endpoint_url = http://192.0.2.1
aws_access_key_id = AKIA-theirs
aws_secret_access_key = hush
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing that other tests have made, and no variables but those of the test."""
    monkeypatch.setattr(clients, "_clients", {})
    monkeypatch.setattr(clients, "_sessions", {})
    for word in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(word, raising=False)


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A profile of the environment, with keys, a region and an endpoint of its own."""
    file = tmp_path / "config"
    file.write_text(FILES)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "theirs")


def key_of(client):
    return client._request_signer._credentials.access_key


def test_a_profile_that_does_not_exist_is_not_asked_for(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nope")
    client = connect(env_of("http://127.0.0.1:7"), "sqs", None)
    assert (client.meta.endpoint_url, key_of(client)) == ("http://127.0.0.1:7", "test")


@pytest.mark.usefixtures("profile")
def test_a_stack_with_keys_takes_nothing_from_a_profile():
    keys = AWSCredentials(Secret("AKIA-ours"), Secret("secret"))
    client = connect(Env(aws=keys, aws_region="eu-west-1"), "s3", None)
    assert (client.meta.region_name, key_of(client)) == ("eu-west-1", "AKIA-ours")
    assert client.meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.usefixtures("profile")
def test_a_stack_without_keys_takes_those_of_the_profile():
    client = connect(Env(), "sqs", None)
    assert (client.meta.region_name, key_of(client)) == ("ap-south-1", "AKIA-theirs")


def test_a_stack_without_keys_is_told_that_its_profile_does_not_exist(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nope")
    with pytest.raises(ProfileNotFound, match="nope"):
        connect(Env(), "sqs", "eu-west-1")


@pytest.mark.emulator
def test_a_queue_is_read_whatever_profile_the_environment_names(env, sqs, name, monkeypatch):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    monkeypatch.setenv("AWS_PROFILE", "nope")
    seen = []

    def note(text: str) -> None:
        seen.append(text)

    with running(env, note, source=SQSQueue(name)):
        until(lambda: seen == ["one"])


def test_a_stack_with_keys_takes_its_region_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    keys = AWSCredentials(Secret("AKIA-ours"), Secret("secret"))
    assert connect(Env(aws=keys), "sqs", None).meta.region_name == "eu-west-1"
    assert connect(Env(aws=keys), "sqs", "eu-west-3").meta.region_name == "eu-west-3"
