"""What was answered is there afterwards: over a clean stop, and over SIGKILL in the middle."""

from __future__ import annotations

import asyncio
import io
import threading
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import LoadJobConfig, SchemaField, SourceFormat, Table
from google.cloud.bigquery_storage_v1 import types

from tests.local_cloud.bigquery.appending import (
    append,
    appending,
    arrow_request,
    call,
    default_stream,
    people,
)
from tests.local_cloud.bigquery.servers import start, stop

SCHEMA = [SchemaField("id", "INTEGER", "REQUIRED"), SchemaField("name", "STRING")]


@pytest.fixture(params=[False, True], ids=["stopped", "killed"])
def restarted(request, tmp_path):
    """A server, and what starts it again after it was stopped or killed."""
    running = [start(tmp_path)]

    def restarted():
        code = stop(running.pop(), kill=request.param)
        assert request.param or code == 0
        running.append(start(tmp_path))
        return running[0]

    yield running[0], restarted
    stop(running[0])


def test_everything_is_there_again(restarted):
    server, again = restarted
    client = server.client
    client.create_dataset("d")
    table = Table("proj.d.t", SCHEMA)
    table.description = "people"
    client.create_table(table)
    client.insert_rows_json(client.get_table("d.t"), [{"id": 1, "name": "insert"}], retry=None)
    client.query("INSERT d.t VALUES (2, 'query')").result()
    append(server, arrow_request(default_stream("d", "t"), people("append", first=3)))
    grown = client.get_table("d.t")
    grown.schema = [*SCHEMA, SchemaField("tags", "STRING", "REPEATED")]
    client.update_table(grown, ["schema"])
    ident = uuid.uuid4().hex
    file = io.BytesIO()
    pq.write_table(pa.table({"id": [4], "name": ["load"]}), file)
    file.seek(0)
    config = LoadJobConfig(source_format=SourceFormat.PARQUET)
    client.load_table_from_file(file, "d.t", job_id=ident, job_config=config).result()
    kept = types.WriteStream(type_=types.WriteStream.Type.COMMITTED)
    parent = "projects/proj/datasets/d/tables/t"
    request = types.CreateWriteStreamRequest(parent=parent, write_stream=kept)
    stream = call(server, "create_write_stream", request).name
    append(server, arrow_request(stream, people("offset", first=5), offset=0))

    server = again()
    client = server.client
    found = client.get_table("d.t")
    assert (found.description, [f.name for f in found.schema]) == ("people", ["id", "name", "tags"])
    rows = sorted(tuple(row.values()) for row in client.list_rows(found))
    assert [row[:2] for row in rows] == list(
        enumerate(["insert", "query", "append", "load", "offset"], 1)
    )
    assert client.get_job(ident).output_rows == 1
    (repeated, new) = append(
        server,
        arrow_request(stream, people("offset", first=5), offset=0),
        arrow_request(stream, people("next", first=6), offset=1),
    )
    assert (repeated.error.code, new.error.code) == (6, 0)
    assert client.get_table("d.t").num_rows == 6


def test_a_kill_in_the_middle_of_appends_loses_nothing_that_was_answered(tmp_path):
    server = start(tmp_path)
    server.client.create_dataset("d")
    server.client.create_table(Table("proj.d.t", SCHEMA))
    server.client.close()
    answered = []

    async def run():
        async with appending(server) as calls:
            for number in range(10_000):
                request = arrow_request(
                    default_stream("d", "t"), people("x", "y", first=2 * number), schema=not number
                )
                await calls.send(request)
                answered.append(number)
                if number == 50:
                    threading.Timer(0.05, server.process.kill).start()

    with pytest.raises(exceptions.GoogleAPICallError):
        asyncio.run(run())
    assert len(answered) > 50
    server.process.wait()
    server.process.stdout.close()
    again = start(tmp_path)
    rows = [row.id for row in again.client.query("SELECT id FROM d.t ORDER BY id").result()]
    stop(again)
    assert rows[: 2 * len(answered)] == list(range(2 * len(answered)))
    assert len(rows) in (2 * len(answered), 2 * len(answered) + 2)  # whole appends only


def test_a_state_of_another_version_is_refused_and_left_as_it_is(tmp_path, capfd):
    stop(start(tmp_path))
    path = str(tmp_path / "bigquery.duckdb")
    with duckdb.connect(path) as other:
        other.execute("UPDATE buildflow.format SET number = 99")
    with pytest.raises(pytest.fail.Exception, match="did not start"):
        start(tmp_path)
    assert "has format 99, and this version reads 1" in capfd.readouterr().err
    with duckdb.connect(path, read_only=True) as other:
        assert other.execute("SELECT number FROM buildflow.format").fetchall() == [(99,)]


def test_two_servers_do_not_share_a_folder(tmp_path):
    server = start(tmp_path)
    with pytest.raises(pytest.fail.Exception, match="did not start"):
        start(tmp_path)
    stop(server)
