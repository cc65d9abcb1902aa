"""Where elements come from: queues, files and tables, filled by clients that are none of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from buildflow_nb.core.primitive import Readable
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBQuery
from buildflow_nb.io.gcp import GCPPubSubSubscription
from buildflow_nb.io.local import File, LocalFileChangeStream
from tests.io.gcp.vendor import PROJECT, PubSub

__all__ = ("FEEDS", "fill", "make_folder_of_files", "source_of")

FEEDS = ("sqs", "pubsub", "files", "jsonl", "csv", "parquet", "query")
VISIBILITY_S = 4  # so that what a killed consumer held comes back soon
ACK_DEADLINE_S = 10  # the shortest that Pub/Sub has
BATCH = 10

Endpoints = Mapping[str, str]


def source_of(kind: str, folder: Path) -> Readable:
    """A source over what `fill` has made in this folder, or in the cloud under its name."""
    name = folder.name
    if kind == "sqs":
        return SQSQueue(name)
    if kind == "pubsub":
        return GCPPubSubSubscription(PROJECT, name).options(ack_deadline_seconds=ACK_DEADLINE_S)
    if kind == "files":
        return LocalFileChangeStream(folder / "inbox")
    if kind == "query":
        return DuckDBQuery(folder / "in.duckdb", "SELECT n FROM t ORDER BY n", resume=True)
    return File(folder / f"in.{kind}", resume=True)


def fill(kind: str, folder: Path, numbers: Sequence[int], endpoints: Endpoints) -> None:
    """Put elements where the source finds them; what comes while it runs is `drop_files`'."""
    _FILLERS[kind](folder, numbers, endpoints)


def sqs_client(endpoints: Endpoints) -> object:
    """Amazon's client of the local cloud."""
    return boto3.client(
        "sqs",
        endpoint_url=endpoints["sqs"],
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="local",
    )


def send(
    name: str, numbers: Sequence[int], endpoints: Endpoints, *, visibility_s: int = VISIBILITY_S
) -> None:
    """A queue with messages."""
    client = sqs_client(endpoints)
    attributes = {"VisibilityTimeout": str(visibility_s)}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for start in range(0, len(numbers), BATCH):
        piece = numbers[start : start + BATCH]
        entries = [{"Id": str(n), "MessageBody": json.dumps({"n": n})} for n in piece]
        assert not client.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")


def _sqs(folder: Path, numbers: Sequence[int], endpoints: Endpoints) -> None:
    send(folder.name, numbers, endpoints)


def _pubsub(folder: Path, numbers: Sequence[int], endpoints: Endpoints) -> None:
    with PubSub(endpoints["pubsub"]) as client:
        messages = [json.dumps({"n": n}).encode() for n in numbers]
        client.make(folder.name, messages, ack_deadline_seconds=ACK_DEADLINE_S)


def _files(folder: Path, _numbers: Sequence[int], _endpoints: Endpoints) -> None:
    (folder / "inbox").mkdir()  # its files come while it is watched


def make_folder_of_files(folder: Path, numbers: Sequence[int]) -> None:
    """Files whose names are numbers, each put in place whole."""
    for n in numbers:
        part = folder / f"{n}.part"
        part.write_text(str(n))
        part.rename(folder / "inbox" / f"{n}.txt")


def _jsonl(folder: Path, numbers: Sequence[int], _endpoints: Endpoints) -> None:
    (folder / "in.jsonl").write_text("".join(json.dumps({"n": n}) + "\n" for n in numbers))


def _csv(folder: Path, numbers: Sequence[int], _endpoints: Endpoints) -> None:
    (folder / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in numbers))


def _parquet(folder: Path, numbers: Sequence[int], _endpoints: Endpoints) -> None:
    pq.write_table(pa.table({"n": list(numbers)}), folder / "in.parquet", row_group_size=500)


def _query(folder: Path, numbers: Sequence[int], _endpoints: Endpoints) -> None:
    with duckdb.connect(str(folder / "in.duckdb")) as connection:
        connection.register("numbers", pa.table({"n": list(numbers)}))
        connection.execute("CREATE TABLE t AS SELECT n FROM numbers")


_FILLERS: dict[str, Callable[[Path, Sequence[int], Endpoints], None]] = {
    "sqs": _sqs,
    "pubsub": _pubsub,
    "files": _files,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "query": _query,
}
