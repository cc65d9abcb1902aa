"""The vendor's own bucket, on the local cloud and as it would be on the real one."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa

from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials, Secret
from buildflow_nb.core.declaring.dependencies import dependency_of
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.core.primitive import Env
from buildflow_nb.dependencies import bucket as bucket_module
from buildflow_nb.dependencies.bucket import BucketDependencyBuilder
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.gcp import GCSBucket
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.dependencies.making import made

KEYS = AWSCredentials(Secret("test"), Secret("test"))


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    ends = start_cloud(folder).endpoints
    yield Env(endpoints=ends, aws=KEYS, aws_region="us-east-1", gcp_project="shop")
    stop_cloud(folder)


def bucket_of(dep, env):
    return asyncio.run(made(dep, env=env)).bucket


@pytest.mark.emulator
def test_boto3s_bucket_on_the_local_cloud(env):
    found = bucket_of(BucketDependencyBuilder(S3Bucket("photos")), env)
    found.create()
    found.put_object(Key="a.txt", Body=b"hello")
    assert [one.key for one in found.objects.all()] == ["a.txt"]
    assert found.Object("a.txt").get()["Body"].read() == b"hello"


@pytest.mark.emulator
def test_googles_bucket_on_the_local_cloud(env):
    found = bucket_of(BucketDependencyBuilder(GCSBucket("photos")), env)
    found.create()
    found.blob("a.txt").upload_from_string("hello")
    assert [blob.name for blob in found.list_blobs()] == ["a.txt"]
    assert found.get_blob("a.txt").download_as_bytes() == b"hello"


def test_everybody_has_one_of_their_own_over_one_client():
    dep = BucketDependencyBuilder(S3Bucket("photos"))
    env = Env(aws=KEYS, aws_region="us-east-1")
    one, other = bucket_of(dep, env), bucket_of(dep, env)
    assert one is not other
    assert one.meta.client is other.meta.client
    assert dependency_of(dep).scope is Scope.NO_SCOPE


def test_the_first_client_is_made_beside_the_loop(monkeypatch):
    threads = []

    class Noting(S3Bucket):
        def vendor_bucket(self, env, *, quota_project, region):
            threads.append(threading.current_thread().name)

    dep, env = BucketDependencyBuilder(Noting("photos")), Env()
    for _ in range(2):
        bucket_of(dep, env)
    bucket_of(dep, Env())
    main = threading.current_thread().name
    assert threads == ["bucket", main, "bucket"]


def test_regions_of_the_builder_the_primitive_and_the_stack():
    env = Env(aws=KEYS, aws_region="us-east-1")

    def region(primitive, **words):
        dep = BucketDependencyBuilder(primitive, **words)
        return bucket_of(dep, env).meta.client.meta.region_name

    assert region(S3Bucket("photos")) == "us-east-1"
    assert region(S3Bucket("photos", aws_region="eu-west-1")) == "eu-west-1"
    assert region(S3Bucket("photos", aws_region="eu-west-1"), aws_region="eu-north-1") == (
        "eu-north-1"
    )


def account():
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return GCPCredentials(
        Secret(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": "a@b.c",
                    "token_uri": "https://oauth2.googleapis.com/token",
                    "private_key": pem.decode(),
                }
            )
        )
    )


def test_calls_of_google_are_billed_to_the_quota_project():
    env = Env(gcp=account(), gcp_project="shop")
    plain = bucket_of(BucketDependencyBuilder(GCSBucket("photos")), env)
    billed = bucket_of(BucketDependencyBuilder(GCSBucket("photos"), "payer"), env)
    assert plain.client._credentials.quota_project_id is None
    assert billed.client._credentials.quota_project_id == "payer"
    assert (billed.client.project, billed.name) == ("shop", "photos")


@pytest.mark.parametrize("what", [SQSQueue("orders"), S3Bucket, "s3://photos", None])
def test_what_is_no_bucket_is_refused(what):
    with pytest.raises(DeclarationError, match="takes a bucket, as"):
        BucketDependencyBuilder(what)


def test_what_is_missing_is_said_as_of_a_sink(monkeypatch):
    for word in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(word, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    broken = GCPCredentials(Secret("no json"))
    dep = BucketDependencyBuilder(GCSBucket("photos"))
    with pytest.raises(PermanentError, match="service account"):
        bucket_of(dep, Env(gcp=broken, gcp_project="shop"))


def test_the_bucket_is_the_primitive_that_graph_and_checks_see():
    bucket = S3Bucket("photos")
    assert dependency_of(BucketDependencyBuilder(bucket)).primitive is bucket
    assert bucket_module.__all__ == ("BucketDependencyBuilder",)
