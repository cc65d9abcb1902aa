"""What every bucket keeps, in each format; who inherits reads its objects (`parts`)."""

from __future__ import annotations

import csv
import io
import json
import re

import pyarrow.parquet as pq

from tests.io.contract_sinks import SinkContract
from tests.io.records import POINTS, UNTYPED, UNTYPED_BAD, Point

__all__ = ("CsvParts", "JsonParts", "ParquetParts", "UntypedParquetParts", "bucket_name")


def bucket_name(folder):
    """A name for the bucket of a test, by the test's folder."""
    return re.sub("[^a-z0-9]+", "-", str(folder).lower())[-63:].strip("-")


class JsonParts(SinkContract):
    path = "points/all.json"
    element = Point
    samples = POINTS
    bad = object()

    def read(self, folder):
        lines = [line for part in self.parts(folder) for line in part.splitlines()]
        return [Point(**json.loads(line)) for line in lines]


class ParquetParts(SinkContract):
    path = "points"
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    def read(self, folder):
        rows = [row for part in self.parts(folder) for row in rows_of(part)]
        return [Point(**row) for row in rows]


class UntypedParquetParts(ParquetParts):
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        return [row for part in self.parts(folder) for row in rows_of(part)]


class CsvParts(SinkContract):
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
