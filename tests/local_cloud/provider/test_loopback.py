"""Only this machine is dialled."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.aws.cloud import AWSCloud
from buildflow_nb.local_cloud.provider.clients import loopback
from buildflow_nb.local_cloud.provider.codec import UNKNOWN
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:4566", "http://127.8.9.1:1/x/", "http://localhost:80", "http://[::1]:4566"],
)
def test_endpoints_of_this_machine(url):
    assert loopback(url, "it").netloc in url


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com",
        "http://sqs.us-east-1.amazonaws.com:80",
        "http://127.0.0.1@example.com:80",
        "http://127.0.0.1.example.com:80",
        "http://localhost.example.com:80",
        "http://0.0.0.0:4566",
        "http://10.0.0.1:4566",
        "http://169.254.169.254:80",
        "http://127.0.0.1",
        "https://127.0.0.1:4566",
        "file:///etc/passwd",
        "127.0.0.1:4566",
        "http://127.0.0.1:port",
        "http://[::1:4566",
        "",
    ],
)
def test_all_others_are_refused(url):
    with pytest.raises(InfraError, match="endpoint of it: "):
        loopback(url, "endpoint of it")


def test_a_provider_with_another_endpoint_is_refused():
    with pytest.raises(InfraError, match="endpoint 's3' of the provider aws"):
        AWSCloud({"endpoints": [{"sqs": "http://127.0.0.1:1", "s3": "http://example.com:1"}]})
    with pytest.raises(InfraError, match="pubsubCustomEndpoint of the provider gcp"):
        GCPCloud({"pubsubCustomEndpoint": "https://pubsub.googleapis.com/v1/"})


def test_a_provider_without_an_endpoint_dials_nothing():
    cloud = AWSCloud({"endpoints": [{"s3": "http://127.0.0.1:1"}]})
    cloud.require("s3")
    for call in (lambda: cloud.require("sqs"), cloud.sqs):
        with pytest.raises(InfraError, match="the provider aws has no endpoint for sqs"):
            call()
    google = GCPCloud({"project": "p"})
    for call in (lambda: google.require("pubsub"), lambda: google.pubsub, lambda: google.storage):
        with pytest.raises(InfraError, match="the provider gcp has no endpoint for"):
            call()


def test_an_endpoint_that_is_not_known_yet_passes_a_check_and_no_call():
    for cloud in (AWSCloud({"endpoints": UNKNOWN}), AWSCloud({"endpoints": [{"s3": UNKNOWN}]})):
        cloud.require("s3")
        with pytest.raises(InfraError, match="no endpoint"):
            cloud.s3()
    google = GCPCloud({"storageCustomEndpoint": UNKNOWN})
    google.require("storage")
    with pytest.raises(InfraError, match="no endpoint"):
        _ = google.storage


@pytest.mark.emulator
def test_the_environment_leads_nowhere_else(monkeypatch, aws_url):
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-real-key")
    monkeypatch.setenv("AWS_PROFILE", "one that is not there")
    cloud = AWSCloud({"endpoints": [{"s3": aws_url}], "region": "ap-south-2"})
    client = cloud.s3()
    assert client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert client._request_signer._credentials.access_key == "test"
    assert cloud.s3() is client
