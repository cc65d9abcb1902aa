"""Looks into S3 buckets."""

import time

import pytest

from buildflow_nb.core.primitive import Env
from buildflow_nb.core.resource_look import Asked, Standing
from buildflow_nb.io import bucket_look
from buildflow_nb.io.aws import S3Bucket
from tests.io.aws.conftest import KEYS, REGION
from tests.io.aws.emulator import free_port
from tests.io.contract import run
from tests.io.contract_bucket_looks import BucketLookContract

pytestmark = pytest.mark.emulator


class TestLook(BucketLookContract):
    @pytest.fixture(autouse=True)
    def _here(self, env, s3, name):
        self.s3, self.bucket = s3, S3Bucket(name)

    def make(self):
        self.s3.create_bucket(Bucket=self.bucket.bucket_name)

    def unmake(self):
        self.s3.delete_bucket(Bucket=self.bucket.bucket_name)

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket.bucket_name, Key=key, Body=body)

    def test_many_objects_are_counted_to_a_bound_unless_all_are_asked_for(self, monkeypatch):
        self.make()
        for i in range(9):
            self.put(f"{i}", b"x")
        monkeypatch.setattr(bucket_look, "PAGE", 3)
        monkeypatch.setattr(bucket_look, "QUICK", 5)
        assert str(self.glance().held) == "at least 6 objects, 6 bytes"
        assert str(self.glance(whole=True).held) == "9 objects, 9 bytes"


def test_without_a_network_the_deadline_is_kept(name):
    endpoint = f"http://127.0.0.1:{free_port()}"
    env = Env(endpoints={"s3": endpoint}, aws=KEYS, aws_region=REGION)
    began = time.monotonic()
    look = run(S3Bucket(name).look(env, Asked(within_s=2.0)))
    assert time.monotonic() - began < 5
    assert look.standing is Standing.UNREACHED


def test_without_credentials_it_says_how_to_give_them(name, monkeypatch, tmp_path):
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    look = run(S3Bucket(name).look(Env(aws_region="eu-west-3"), Asked()))
    assert look.standing is Standing.REFUSED
    assert "aws_access_key_id" in look.cure
