"""A bucket as a sink: names of objects, formats, faults."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.config import CloudProvider
from buildflow_nb.core.errors import (
    DeclarationError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCSBucket
from buildflow_nb.types.portable import FileFormat
from tests.faults.proxy import Cut, FaultProxy, Reply
from tests.io.contract import ConfigContract, run
from tests.io.flows import running, until
from tests.io.gcp.conftest import env_of
from tests.io.gcp.vendor import PROJECT
from tests.io.records import Point

NAME = re.compile(r"points/part-\d{8}T\d{6}\.\d{6}Z-\d{6}-[0-9a-f]{8}\.csv")


class TestConfig(ConfigContract):
    def make(self, folder):
        return GCSBucket(PROJECT, "inbox", "points.csv")


class TestConfigOfANameAlone(ConfigContract):
    def make(self, folder):
        return GCSBucket("inbox")


@pytest.mark.parametrize(
    "bucket",
    [
        GCSBucket("project", "b-1"),
        GCSBucket("project", bucket_name="b-1"),
        GCSBucket(project_id="project", bucket_name="b-1"),
    ],
)
def test_a_bucket_of_a_project(bucket):
    assert (bucket.project_id, bucket.bucket_name) == ("project", "b-1")


@pytest.mark.parametrize("bucket", [GCSBucket("b-1"), GCSBucket(bucket_name="b-1")])
def test_a_bucket_of_the_stacks_project(bucket):
    assert (bucket.project_id, bucket.bucket_name) == (None, "b-1")
    assert bucket.options(force_destroy=True).bucket_name == "b-1"


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        (None, None, FileFormat.PARQUET),
        ("points.csv", None, FileFormat.CSV),
        ("points.JSON", None, FileFormat.JSON),
        ("points.csv", "PARQUET", FileFormat.PARQUET),
        (None, FileFormat.JSON, FileFormat.JSON),
    ],
)
def test_the_format_is_given_or_told_by_the_ending_or_parquet(path, given, expected):
    bucket = GCSBucket("project", bucket_name="inbox", file_path=path, file_format=given)
    assert bucket.file_format is expected


def test_configuration():
    bucket = GCSBucket(PROJECT, "my-bucket", "/points/")
    assert bucket.bucket_url == "gs://my-bucket"
    assert bucket.primitive_id == "gcs://my-bucket"
    assert bucket.label == "my-bucket/points"
    assert bucket.sink_wire is Wire.OBJECT
    assert (bucket.force_destroy, bucket.bucket_region) == (False, "US")
    there = bucket.options(force_destroy=True, bucket_region="EU")
    assert (there.force_destroy, there.bucket_region) == (True, "EU")
    with pytest.raises(DeclarationError, match="GCSBucket 'inbox': file_format must be one of"):
        GCSBucket("inbox", file_format="xml")


@pytest.mark.parametrize("name", ["ab", "Inbox", "-ab", "ab-", "x" * 64, "googly", "a.b" * 75, ""])
def test_names_that_cloud_storage_has_not(name):
    with pytest.raises(DeclarationError, match="a name has 3 to 63 small letters, digits"):
        GCSBucket(PROJECT, name or "a", None) if name else GCSBucket()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1.2.3.4", "a name is no IP address"),
        ("my_google_b", "a name has no 'google' in it"),
        ("my-g00gle-b", "a name has no 'google' in it"),
    ],
)
def test_names_that_google_keeps_for_itself(name, message):
    with pytest.raises(DeclarationError, match=f"GCSBucket '{name}': {message}"):
        GCSBucket(PROJECT, name)


@pytest.mark.parametrize("words", [("p-1", None), ("p-1", 7), (7,), ([],)])
def test_a_name_is_a_text(words):
    with pytest.raises(DeclarationError, match="GCSBucket: bucket_name must be a text in quotes"):
        GCSBucket(*words)


def test_a_project_is_a_text():
    with pytest.raises(DeclarationError, match="GCSBucket: project_id must be a text in quotes"):
        GCSBucket(7, "inbox")


class GCPOptions:
    default_project_id = "p-1"
    default_region = "europe-west4"


def test_a_bucket_of_options_has_a_default_name_and_their_region():
    bucket = GCSBucket.from_gcp_options(GCPOptions(), file_path="x.csv")
    assert bucket == GCSBucket("p-1", "buildflow_1dee6e3e", "x.csv", bucket_region="europe-west4")
    ours = CloudProvider(gcp_project="p-1", gcp_region="europe-west4")
    assert GCSBucket.from_gcp_options(ours, file_path="x.csv") == bucket


def test_a_default_name_needs_a_project():
    with pytest.raises(
        DeclarationError, match="GCSBucket: a default name is made from the project"
    ):
        GCSBucket.from_gcp_options(CloudProvider())
    assert GCSBucket.from_gcp_options(CloudProvider(), bucket_name="inbox") == GCSBucket("inbox")


def test_its_page_in_the_console():
    url = "https://console.cloud.google.com/storage/browser/inbox"
    assert GCSBucket("inbox").cloud_console_url() == url
    assert GCSBucket("p-1", "inbox").cloud_console_url() == f"{url}?project=p-1"


@pytest.mark.parametrize("name", ["a_b", "a.b.c", "0x0", "x" * 63, f"{'x' * 63}.{'y' * 63}"])
def test_names_that_it_has(name):
    assert GCSBucket(PROJECT, name).bucket_name == name


def test_importing_loads_no_sdk():
    code = "import sys, buildflow_nb.io.gcp, buildflow_nb.types.gcp; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"google.auth", "google.cloud.storage", "grpc", "pulumi", "pulumi_gcp", "pyarrow"}
    assert heavy & set(found.stdout.split()) == set()


def blobs(gcs, name):
    """The objects of a bucket, in the order of their names."""
    return sorted(gcs.list_blobs(name), key=lambda blob: blob.name)


def push(env, bucket, *pushes, element=Point):
    async def go():
        async with bucket.sink(env, element) as sink:
            for items in pushes:
                await sink.push(items)

    run(go())


@pytest.mark.emulator
def test_each_push_is_an_object_of_its_own(env, gcs, name):
    gcs.create_bucket(name)
    bucket = GCSBucket(PROJECT, name, "points", "csv")
    push(env, bucket, [Point(1, "a")], [Point(2, "b"), Point(3, "c")])
    found = blobs(gcs, name)
    assert all(NAME.fullmatch(blob.name) for blob in found)
    bodies = [blob.download_as_bytes() for blob in found]
    assert bodies == [b"x,name\n1,a\n", b"x,name\n2,b\n3,c\n"]
    assert {blob.content_type for blob in found} == {"text/csv; charset=utf-8"}


@pytest.mark.emulator
def test_a_part_of_more_than_eight_megabytes(env, gcs, name):
    """The client uploads it in another way, with a session."""
    gcs.create_bucket(name)
    items = [Point(i, "x" * 10_000) for i in range(900)]
    push(env, GCSBucket(PROJECT, name, "points.json"), items)
    (blob,) = blobs(gcs, name)
    lines = blob.download_as_bytes().splitlines()
    assert [json.loads(line)["x"] for line in lines] == list(range(900))


@pytest.mark.emulator
def test_a_bad_element_does_not_split_its_push(env, gcs, name):
    gcs.create_bucket(name)
    items = [Point(i, "x") for i in range(7)]
    items[3] = Point("no number", "x")
    with pytest.raises(PartialPushError) as caught:
        push(env, GCSBucket(PROJECT, name), items)
    assert list(caught.value.failed) == [3]
    (blob,) = blobs(gcs, name)
    rows = pq.read_table(io.BytesIO(blob.download_as_bytes())).to_pylist()
    assert [row["x"] for row in rows] == [0, 1, 2, 4, 5, 6]


def upstream(env):
    return urllib.parse.urlsplit(env.endpoints["storage"]).port


@pytest.fixture
def hasty(monkeypatch):
    """The client gives up soon, and tries again at once."""
    monkeypatch.setattr("buildflow_nb.io.gcp.gcs.bucket.RETRY_S", 0.05)
    monkeypatch.setattr("buildflow_nb.io.gcp.gcs.bucket.DELAYS_S", (0.001, 0.01))


@pytest.mark.emulator
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Reply(503, b"busy"), "cannot be reached (UNAVAILABLE: "),
        (Reply(500, b""), "cannot be reached (UNAVAILABLE: "),
        (Reply(429, b""), "is asked too often for now (RESOURCE_EXHAUSTED: "),
        (Cut(), "cannot be reached: "),
    ],
    ids=["503", "500", "429", "cut"],
)
def test_faults_are_waited_out(env, gcs, name, fault, said):
    gcs.create_bucket(name)
    bad = [True]

    def plan(request):
        return fault if request.method == "POST" and bad[0] else None

    with FaultProxy(upstream(env), plan) as proxy:
        there = env_of(storage=proxy.url)
        with pytest.raises(TemporaryError) as caught:
            push(there, GCSBucket(PROJECT, name), [Point(1, "a")])
        assert str(caught.value).startswith(f"bucket '{name}' {said}")
        assert blobs(gcs, name) == []
        assert len(proxy.seen) > 1
        bad[0] = False
        push(there, GCSBucket(PROJECT, name), [Point(1, "a")])
    assert len(blobs(gcs, name)) == 1


@pytest.mark.emulator
def test_an_upload_whose_answer_is_lost_is_there_once(env, gcs, name):
    gcs.create_bucket(name)
    faults = [Cut(passed_on=True)]

    def plan(request):
        return faults.pop() if request.method == "POST" and faults else None

    with FaultProxy(upstream(env), plan) as proxy:
        push(env_of(storage=proxy.url), GCSBucket(PROJECT, name), [Point(1, "a")])
        uploads = [r for r in proxy.seen if r.method == "POST"]
    assert len(uploads) == 2
    assert all("ifGenerationMatch=0" in upload.path for upload in uploads)
    assert len(blobs(gcs, name)) == 1


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "denies access; grant the role roles/storage.objectCreator"),
        (400, "refuses the request (INVALID_ARGUMENT: "),
    ],
)
def test_what_cannot_be_mended_by_waiting_stops(env, name, status, message):
    with (
        FaultProxy(upstream(env), lambda _: Reply(status, b"no")) as proxy,
        pytest.raises(PermanentError) as caught,
    ):
        push(env_of(storage=proxy.url), GCSBucket(PROJECT, name), [Point(1, "a")])
    assert str(caught.value).startswith(f"bucket '{name}' {message}")


@dataclass
class Order:
    id: int


@pytest.mark.emulator
def test_from_a_subscription_to_a_bucket_that_comes_late(env, pubsub, gcs, name):
    pubsub.make(name, [b'{"id": %d}' % i for i in range(50)])

    def same(order: Order) -> Order:
        return order

    bucket = GCSBucket(PROJECT, name, "orders.json")
    source = GCPPubSubSubscription(PROJECT, name)
    with running(env, same, source=source, sink=bucket) as handle:
        missing = f"bucket '{name}' does not exist in stack 'local' (run %buildflow apply)"
        until(lambda: handle.snapshot().processors[0].reason == missing)
        gcs.create_bucket(name)
        until(lambda: handle.snapshot().processors[0].in_flight == 0)
    lines = [line for b in blobs(gcs, name) for line in b.download_as_bytes().splitlines()]
    assert sorted(json.loads(line)["id"] for line in lines) == list(range(50))
