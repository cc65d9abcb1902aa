"""What every sink keeps, for buckets in each format, with Google's client on the other side."""

import csv
import io
import json
import re

import pyarrow.parquet as pq
import pytest

from buildflow_nb.io.gcp import GCSBucket
from tests.io.contract import SinkContract
from tests.io.records import POINTS, UNTYPED, UNTYPED_BAD, Point

pytestmark = pytest.mark.emulator


@pytest.fixture(autouse=True)
def _here(env, gcs, request):
    if request.instance is not None:
        request.instance.gcs = gcs


class Bucket(SinkContract):
    path = ""

    def make(self, folder):
        name = re.sub("[^a-z0-9]+", "-", str(folder).lower())[-63:].strip("-")
        if not self.gcs.bucket(name).exists():
            self.gcs.create_bucket(name)
        return GCSBucket("shop-project", name, self.path)

    def parts(self, folder):
        """The contents of the objects, by name."""
        found = self.gcs.list_blobs(self.make(folder).bucket_name, prefix=self.path)
        return [blob.download_as_bytes() for blob in sorted(found, key=lambda blob: blob.name)]


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
        found = []
        for part in self.parts(folder):
            rows = csv.DictReader(io.StringIO(part.decode()))
            found += [{"x": int(row["x"]), "name": row["name"]} for row in rows]
        return found


def rows_of(part):
    return pq.read_table(io.BytesIO(part)).to_pylist()
