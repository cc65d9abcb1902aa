"""A bucket as a sink: names of objects, formats, faults."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.files import parts
from buildflow_nb.types.portable import FileFormat
from tests.faults.proxy import Cut, FaultProxy, Reply
from tests.io.aws.conftest import env_of
from tests.io.contract import ConfigContract, run
from tests.io.flows import running, until
from tests.io.records import Point

KEY = re.compile(r"points/part-\d{8}T\d{6}\.\d{6}Z-\d{6}-[0-9a-f]{8}\.csv")


class TestConfig(ConfigContract):
    def make(self, folder):
        return S3Bucket("inbox", "points.csv", aws_region="eu-west-1")


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        (None, None, FileFormat.PARQUET),
        ("points", None, FileFormat.PARQUET),
        ("points.csv", None, FileFormat.CSV),
        ("points.JSON", None, FileFormat.JSON),
        ("points.csv", "PARQUET", FileFormat.PARQUET),
        (None, "Csv", FileFormat.CSV),
        (None, FileFormat.JSON, FileFormat.JSON),
    ],
)
def test_the_format_is_given_or_told_by_the_ending_or_parquet(path, given, expected):
    assert S3Bucket("inbox", path, given).file_format is expected


def test_configuration():
    bucket = S3Bucket("my-bucket", "/points/")
    assert bucket.bucket_url == bucket.primitive_id == "s3://my-bucket"
    assert bucket.label == "my-bucket/points"
    assert bucket.sink_wire is Wire.OBJECT
    assert not bucket.force_destroy
    assert bucket.options(force_destroy=True) == S3Bucket(
        "my-bucket", "/points/", force_destroy=True
    )
    with pytest.raises(
        DeclarationError, match="S3Bucket 'inbox': file_format must be one of 'parq"
    ):
        S3Bucket("inbox", file_format="xml")


@pytest.mark.parametrize("name", ["ab", "Inbox", "a_b", "a..b", "-ab", "ab-", "x" * 64])
def test_names_that_s3_has_not(name):
    with pytest.raises(DeclarationError, match="a name has 3 to 63 small letters, digits"):
        S3Bucket(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1.2.3.4", "a name is no IP address"),
        ("xn--abc", "S3 keeps names that begin with xn--"),
        ("sthree-abc", "S3 keeps names that begin with"),
        ("a-s3alias", "S3 keeps names that end with -s3alias"),
        ("a--x-s3", "S3 keeps names that end with"),
    ],
)
def test_names_that_s3_keeps_for_itself(name, message):
    with pytest.raises(DeclarationError, match=f"S3Bucket '{name}': {message}"):
        S3Bucket(name)


@pytest.mark.parametrize("name", ["1.2.3.4.5", "1.2.3", "xn-abc", "a-s3alias-b"])
def test_names_that_s3_has(name):
    assert S3Bucket(name).bucket_name == name


@pytest.mark.parametrize("name", [None, 7, b"inbox", ["inbox"]])
def test_a_name_is_a_text(name):
    with pytest.raises(DeclarationError, match="S3Bucket: bucket_name must be a text in quotes, g"):
        S3Bucket(name)


def test_a_path_is_a_text():
    with pytest.raises(DeclarationError, match="S3Bucket: file_path must be a text in quotes, got"):
        S3Bucket("inbox", Path("points.csv"))


def test_its_page_in_the_console():
    url = "https://console.aws.amazon.com/s3/buckets/inbox"
    assert S3Bucket("inbox").cloud_console_url() == url
    assert S3Bucket("inbox", aws_region="eu-west-1").cloud_console_url() == (
        f"{url}?region=eu-west-1"
    )


def test_names_sort_by_time_also_when_the_clock_is_set_back(monkeypatch):
    times = [datetime(2026, 1, 31, 12, tzinfo=UTC) - timedelta(seconds=i) for i in range(3)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return times.pop(0)

    monkeypatch.setattr(parts, "datetime", Clock)
    Clock.min = datetime.min
    names = parts.PartNames("points", "csv")
    found = [names.next() for _ in range(3)]
    assert found == sorted(found)
    assert all(KEY.fullmatch(name) for name in found)
    assert found[0].startswith("points/part-20260131T120000.000000Z-000001-")


def test_importing_loads_no_sdk():
    code = "import sys, buildflow_nb.io.aws, buildflow_nb.types.aws; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"boto3", "botocore", "pulumi", "pulumi_aws", "pyarrow", "duckdb"}
    assert heavy & set(found.stdout.split()) == set()


def objects(s3, name):
    """The objects of a bucket, by key."""
    found = s3.list_objects_v2(Bucket=name).get("Contents", ())
    return {entry["Key"]: s3.get_object(Bucket=name, Key=entry["Key"]) for entry in found}


def push(env, bucket, *pushes, element=Point):
    async def go():
        async with bucket.sink(env, element) as sink:
            for items in pushes:
                await sink.push(items)

    run(go())


@pytest.mark.emulator
def test_each_push_is_an_object_of_its_own(env, s3, name):
    s3.create_bucket(Bucket=name)
    push(env, S3Bucket(name, "points", "csv"), [Point(1, "a")], [Point(2, "b"), Point(3, "c")])
    found = objects(s3, name)
    assert len(found) == 2
    assert all(KEY.fullmatch(key) for key in found)
    bodies = [reply["Body"].read() for reply in found.values()]
    assert bodies == [b"x,name\n1,a\n", b"x,name\n2,b\n3,c\n"]
    assert {reply["ContentType"] for reply in found.values()} == {"text/csv; charset=utf-8"}


@pytest.mark.emulator
def test_a_bad_element_does_not_split_its_push(env, s3, name):
    from buildflow_nb.core.errors import PartialPushError

    s3.create_bucket(Bucket=name)
    items = [Point(i, "x") for i in range(7)]
    items[3] = Point("no number", "x")
    with pytest.raises(PartialPushError) as caught:
        push(env, S3Bucket(name), items)
    assert list(caught.value.failed) == [3]
    (reply,) = objects(s3, name).values()
    rows = pq.read_table(io.BytesIO(reply["Body"].read())).to_pylist()
    assert [row["x"] for row in rows] == [0, 1, 2, 4, 5, 6]


@pytest.mark.emulator
def test_later_parts_have_the_columns_of_the_first(env, s3, name):
    from buildflow_nb.core.errors import PartialPushError

    s3.create_bucket(Bucket=name)
    bucket = S3Bucket(name, file_format="csv")
    push(env, bucket, [{"a": 1, "b": 2}], [{"b": 4, "a": 3}], element=None)
    bodies = [reply["Body"].read() for reply in objects(s3, name).values()]
    assert bodies == [b"a,b\n1,2\n", b"a,b\n3,4\n"]
    with pytest.raises(PartialPushError, match="no column for field 'c'; the columns are a, b"):
        push(env, bucket, [{"a": 1, "b": 2}], [{"c": 1}], element=None)


@pytest.mark.emulator
@pytest.mark.parametrize("fault", [Reply(503, b""), Reply(500, b""), Cut()], ids=str)
def test_faults_are_waited_out(emulator, s3, name, fault):
    s3.create_bucket(Bucket=name)
    faults = [fault] * 3

    def plan(request):
        return faults.pop() if request.method == "PUT" and faults else None

    with FaultProxy(emulator.port, plan) as proxy:
        env = env_of(proxy.url)
        with pytest.raises(TemporaryError, match=f"bucket '{name}' "):
            push(env, S3Bucket(name), [Point(1, "a")])
        assert objects(s3, name) == {}
        push(env, S3Bucket(name), [Point(1, "a")])
    assert len(objects(s3, name)) == 1


@pytest.mark.emulator
def test_denied_access_stops(emulator, name):
    body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with (
        FaultProxy(emulator.port, lambda _: Reply(403, body)) as proxy,
        pytest.raises(PermanentError, match="denies access; allow the action s3:PutObject"),
    ):
        push(env_of(proxy.url), S3Bucket(name), [Point(1, "a")])


@dataclass
class Order:
    id: int


@pytest.mark.emulator
def test_from_a_queue_to_a_bucket_that_comes_late(env, sqs, s3, name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    for start in range(0, 50, 10):
        entries = [{"Id": str(i), "MessageBody": f'{{"id": {start + i}}}'} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def same(order: Order) -> Order:
        return order

    bucket = S3Bucket(name, "orders.json")
    with running(env, same, source=SQSQueue(name), sink=bucket) as handle:
        missing = f"bucket '{name}' does not exist in stack 'local' (run %buildflow apply)"
        until(lambda: handle.snapshot().processors[0].reason == missing)
        s3.create_bucket(Bucket=name)
        until(lambda: handle.snapshot().processors[0].in_flight == 0)
    lines = [line for r in objects(s3, name).values() for line in r["Body"].read().splitlines()]
    assert sorted(json.loads(line)["id"] for line in lines) == list(range(50))
