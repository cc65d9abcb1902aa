"""What every sink keeps, for buckets in each format, with boto3 on the other side."""

import io
import json
import re

import pyarrow.parquet as pq
import pytest

from buildflow_nb.io.aws import S3Bucket
from tests.io.contract import SinkContract
from tests.io.records import POINTS, UNTYPED, UNTYPED_BAD, Point

pytestmark = pytest.mark.emulator


@pytest.fixture(autouse=True)
def _here(env, s3, request):
    if request.instance is not None:
        request.instance.s3 = s3


class Bucket(SinkContract):
    path = ""

    def make(self, folder):
        name = re.sub("[^a-z0-9]+", "-", str(folder).lower())[-63:].strip("-")
        self.s3.create_bucket(Bucket=name)
        return S3Bucket(name, self.path)

    def parts(self, folder):
        """The contents of the objects, by key."""
        name = self.make(folder).bucket_name
        found = self.s3.list_objects_v2(Bucket=name, Prefix=self.path).get("Contents", ())
        keys = sorted(entry["Key"] for entry in found)
        return [self.s3.get_object(Bucket=name, Key=key)["Body"].read() for key in keys]


class TestJson(Bucket):
    path = "points/all.json"
    element = Point
    samples = POINTS
    bad = object()

    def read(self, folder):
        lines = [line for part in self.parts(folder) for line in part.splitlines()]
        return [Point(**json.loads(line)) for line in lines]


class TestParquet(Bucket):
    path = "points"
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    def read(self, folder):
        rows = [row for part in self.parts(folder) for row in rows_of(part)]
        return [Point(**row) for row in rows]


class TestUntypedParquet(TestParquet):
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        return [row for part in self.parts(folder) for row in rows_of(part)]


class TestCsv(Bucket):
    path = "points.csv"
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        import csv

        found = []
        for part in self.parts(folder):
            rows = csv.DictReader(io.StringIO(part.decode()))
            found += [{"x": int(row["x"]), "name": row["name"]} for row in rows]
        return found


def rows_of(part):
    return pq.read_table(io.BytesIO(part)).to_pylist()
