"""What is compared of a notebook and of the program exported from it.

The same functions look at both: in a cell that a test puts into the notebook, and beside the
program's process. Numbers that differ by chance (names of objects, how rows are split over them)
are left out here and nowhere else.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from buildflow_nb.infra.flow_stack import LocalServices

FILE = "proof.json"
ANSWER_S = 30
PREVIEW_S = 120
ROOT = Path(__file__).parents[2]


def note(**seen):
    """Add what was seen to the notes of the working folder."""
    path = Path(FILE)
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | seen, default=str))


def ask(address, questions):
    """Ask (method, path, body) each, over HTTP: status, kind of content, and content."""
    return [list(_asked(address, *question)) for question in questions]


def _asked(address, method, path, body):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(address + path, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def planned(outcome):
    """A preview: what would be done to which resource, property by property."""
    return sorted(
        [step.op.value, step.type, step.name, step.owner, sorted(map(_change, step.changes))]
        for step in outcome.steps
    )


def _change(change):
    return [change.path, repr(change.old), repr(change.new)]


def state(app_or_dict, folder):
    """A flow state, with paths in the folder of whoever told it made relative."""
    told = app_or_dict if isinstance(app_or_dict, dict) else app_or_dict.flowstate().to_dict()
    return json.loads(json.dumps(told).replace(json.dumps(str(folder))[1:-1], "FOLDER"))


def sinks(told, folder, endpoints, sums):
    """What is in every sink that a flow state names, by the sink's id."""
    found = {}
    kinds = {one["primitive_id"]: one["primitive_name"] for one in told["primitive_states"]}
    for group in told["processor_group_states"]:
        for one in group["processor_states"]:
            sink = one["processor_info"].get("sink_id")
            if sink is not None and kinds[sink] != "Empty":
                found[sink] = READERS[kinds[sink]](sink, folder, endpoints, sums)
    return found


def _table(sink, folder, endpoints, sums):
    import duckdb

    path, _, table = sink.replace("FOLDER", str(folder)).rpartition(":")
    query = sums.get(table, f"SELECT * FROM {table} ORDER BY ALL")
    with duckdb.connect(path) as connection:
        return _digest(connection.execute(query).fetchall())


def _digest(rows):
    return [
        len(rows),
        [str(row) for row in rows[:3]],
        hashlib.sha256(repr(rows).encode()).hexdigest(),
    ]


def _queue(sink, folder, endpoints, sums):
    """How many messages are left: a sink that is another processor's source."""
    import boto3

    client = boto3.client("sqs", region_name="us-east-1", endpoint_url=endpoints["sqs"], **KEYS)
    url = client.get_queue_url(QueueName=sink.rpartition("-")[2])["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return [int(found["ApproximateNumberOfMessages"])]


def _topic(sink, folder, endpoints, sums):
    return []  # a topic keeps nothing; what it passed on is in the sinks behind it


def _bucket(sink, folder, endpoints, sums):
    """The rows of a bucket's Parquet objects, in an order of their own."""
    from pyarrow import parquet

    tables = [parquet.read_table(io.BytesIO(one)) for one in objects(sink, endpoints)]
    return _digest(sorted((row for table in tables for row in table.to_pylist()), key=repr))


def objects(sink, endpoints):
    """The contents of a bucket's objects."""
    scheme, _, name = sink.partition("://")
    if scheme == "s3":
        import boto3

        client = boto3.client("s3", region_name="us-east-1", endpoint_url=endpoints["s3"], **KEYS)
        found = client.list_objects_v2(Bucket=name).get("Contents", [])
        return [client.get_object(Bucket=name, Key=one["Key"])["Body"].read() for one in found]
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    options = {"api_endpoint": endpoints["storage"]}
    client = storage.Client("none", credentials=AnonymousCredentials(), client_options=options)
    return [one.download_as_bytes() for one in client.list_blobs(name)]


def _postgres(sink, folder, endpoints, sums):
    """The table `flights` of the database that a sink's id names, by an administrator's eyes."""
    import psycopg

    services = LocalServices(Path(folder))
    where = services.wake("postgres")
    instance = sink.partition("/")[0].partition(":")[2].replace(".", ":")
    words = {"user": "postgres", "password": services.password("postgres").reveal()}
    with psycopg.connect(where, dbname=instance, **words) as connection:
        rows = connection.execute("SELECT * FROM flights ORDER BY 1, 2, 3, 4, 5").fetchall()
    return _digest(rows)


def followed(folder):
    """Whether somebody follows the changes in Postgres."""
    import psycopg

    services = LocalServices(Path(folder))
    words = {"user": "postgres", "password": services.password("postgres").reveal()}
    with psycopg.connect(services.wake("postgres"), dbname="postgres", **words) as connection:
        found = connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone()
    return found[0] > 0


def _bigquery(sink, folder, endpoints, sums):
    from google.cloud import bigquery
    from google.oauth2.credentials import Credentials

    services = LocalServices(Path(folder))
    with bigquery.Client(
        "flights-project",
        credentials=Credentials(services.password("bigquery").reveal()),
        client_options={"api_endpoint": services.wake("bigquery")},
    ) as client:
        rows = client.query(f"SELECT * FROM `{sink}` ORDER BY 1, 2, 3").result()
        return _digest([tuple(row.values()) for row in rows])


def _clickhouse(sink, folder, endpoints, sums):
    import clickhouse_connect

    services = LocalServices(Path(folder))
    where = urlsplit(services.wake("clickhouse"))
    with clickhouse_connect.get_client(
        host=where.hostname,
        port=where.port,
        username="default",
        password=services.password("clickhouse").reveal(),
    ) as client:
        table = sink.partition("/")[2]
        return _digest(client.query(f"SELECT * FROM {table} FINAL ORDER BY 1").result_rows)


KEYS = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "local"}
READERS = {
    "DuckDBTable": _table,
    "SQSQueue": _queue,
    "GCPPubSubTopic": _topic,
    "S3Bucket": _bucket,
    "GCSBucket": _bucket,
    "PostgresTable": _postgres,
    "BigQueryTable": _bigquery,
    "ClickhouseTable": _clickhouse,
}


PREVIEW = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import main
from tests.notebooks import proof
sys.stdout.write(json.dumps(proof.planned(main.app.preview())))
"""


def preview_of(program, folder):
    """The preview of the program in one folder, on the stack of another, in its own process."""
    words = [sys.executable, "-c", PREVIEW, str(program), str(ROOT)]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=PREVIEW_S, check=False
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)
