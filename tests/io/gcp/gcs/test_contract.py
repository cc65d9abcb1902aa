"""What every sink keeps, for buckets in each format, with Google's client on the other side."""

import pytest

from buildflow_nb.io.gcp import GCSBucket
from tests.io.contract_buckets import (
    CsvParts,
    JsonParts,
    ParquetParts,
    UntypedParquetParts,
    bucket_name,
)

pytestmark = pytest.mark.emulator


@pytest.fixture(autouse=True)
def _here(env, gcs, request):
    if request.instance is not None:
        request.instance.gcs = gcs


class Bucket:
    def make(self, folder):
        name = bucket_name(folder)
        if not self.gcs.bucket(name).exists():
            self.gcs.create_bucket(name)
        return GCSBucket("shop-project", name, self.path)

    def parts(self, folder):
        """The contents of the objects, by name."""
        found = self.gcs.list_blobs(self.make(folder).bucket_name, prefix=self.path)
        return [blob.download_as_bytes() for blob in sorted(found, key=lambda blob: blob.name)]


class TestJson(Bucket, JsonParts):
    pass


class TestParquet(Bucket, ParquetParts):
    pass


class TestUntypedParquet(Bucket, UntypedParquetParts):
    pass


class TestCsv(Bucket, CsvParts):
    pass
