"""Looks into buckets of Cloud Storage."""

import pytest

from buildflow_nb.io.gcp import GCSBucket
from tests.io.contract_bucket_looks import BucketLookContract

pytestmark = pytest.mark.emulator


class TestLook(BucketLookContract):
    @pytest.fixture(autouse=True)
    def _here(self, env, gcs, name):
        self.gcs, self.bucket = gcs, GCSBucket(name)

    def make(self):
        self.gcs.create_bucket(self.bucket.bucket_name)

    def unmake(self):
        self.gcs.bucket(self.bucket.bucket_name).delete()

    def put(self, key, body):
        self.gcs.bucket(self.bucket.bucket_name).blob(key).upload_from_string(body)
