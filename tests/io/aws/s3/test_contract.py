"""What every sink keeps, for buckets in each format, with boto3 on the other side."""

import pytest

from buildflow_nb.io.aws import S3Bucket
from tests.io.contract_buckets import (
    CsvParts,
    JsonParts,
    ParquetParts,
    UntypedParquetParts,
    bucket_name,
)

pytestmark = pytest.mark.emulator


@pytest.fixture(autouse=True)
def _here(env, s3, request):
    if request.instance is not None:
        request.instance.s3 = s3


class Bucket:
    def make(self, folder):
        name = bucket_name(folder)
        self.s3.create_bucket(Bucket=name)
        return S3Bucket(name, self.path)

    def parts(self, folder):
        """The contents of the objects, by key."""
        name = self.make(folder).bucket_name
        found = self.s3.list_objects_v2(Bucket=name, Prefix=self.path).get("Contents", ())
        keys = sorted(entry["Key"] for entry in found)
        return [self.s3.get_object(Bucket=name, Key=key)["Body"].read() for key in keys]


class TestJson(Bucket, JsonParts):
    pass


class TestParquet(Bucket, ParquetParts):
    pass


class TestUntypedParquet(Bucket, UntypedParquetParts):
    pass


class TestCsv(Bucket, CsvParts):
    pass
