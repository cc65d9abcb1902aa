"""Storage Read through Google's client: tables, and the results of queries."""

from __future__ import annotations

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import SchemaField, Table
from google.cloud.bigquery_storage_v1 import types

from tests.local_cloud.bigquery.appending import append, arrow_request, default_stream, people

SCHEMA = [SchemaField("id", "INTEGER", "REQUIRED"), SchemaField("name", "STRING")]


@pytest.fixture
def table(server, client, dataset):
    made = client.create_table(Table(f"proj.{dataset}.people", SCHEMA))
    append(server, arrow_request(default_stream(dataset, "people"), people("a", "b", None)))
    return made


def session(server, path, **options):
    wanted = types.ReadSession(
        table=path,
        data_format=types.DataFormat.ARROW,
        read_options=types.ReadSession.TableReadOptions(**options),
    )
    request = types.CreateReadSessionRequest(
        parent="projects/proj", read_session=wanted, max_stream_count=1
    )
    return server.reader.create_read_session(request, timeout=10, retry=None)


def read(server, found, offset=0):
    schema = pa.ipc.read_schema(pa.py_buffer(found.arrow_schema.serialized_schema))
    rows = []
    for stream in found.streams:
        for answer in server.reader.read_rows(stream.name, offset, timeout=10):
            data = pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
            rows += pa.ipc.read_record_batch(data, schema).to_pylist()
    return rows


def path_of(table):
    return f"projects/proj/datasets/{table.dataset_id}/tables/{table.table_id}"


def test_a_table_is_read(server, table):
    found = session(server, path_of(table))
    assert read(server, found) == people("a", "b", None).to_pylist()
    assert found.estimated_row_count == 3


def test_columns_and_rows_are_chosen(server, table):
    chosen = session(
        server,
        path_of(table),
        selected_fields=["name"],
        row_restriction="id > 0 AND name IS NOT NULL",
    )
    assert read(server, chosen) == [{"name": "b"}]


def test_a_session_is_a_snapshot(server, table, dataset):
    found = session(server, path_of(table))
    append(server, arrow_request(default_stream(dataset, "people"), people("later", first=9)))
    assert len(read(server, found)) == 3
    assert len(read(server, session(server, path_of(table)))) == 4


def test_reading_goes_on_at_an_offset(server, table):
    assert [row["name"] for row in read(server, session(server, path_of(table)), 1)] == ["b", None]


def test_a_result_is_read(server, client, table):
    job = client.query(f"SELECT id * 10 AS ten FROM {table.dataset_id}.people ORDER BY id DESC")
    job.result(timeout=10)
    path = f"projects/proj/datasets/{job.destination.dataset_id}/tables/{job.destination.table_id}"
    assert read(server, session(server, path)) == [{"ten": 20}, {"ten": 10}, {"ten": 0}]


@pytest.mark.filterwarnings("ignore:Retrieving Arrow record batches:PendingDeprecationWarning")
def test_the_client_fetches_a_result_as_arrow(server, client):
    job = client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25000)) AS x ORDER BY x")
    found = job.result(timeout=10).to_arrow(bqstorage_client=server.reader)
    assert found["x"].to_pylist() == list(range(1, 25001))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"selected_fields": ["nobody"]}, exceptions.InvalidArgument, "nobody"),
        ({"row_restriction": "nobody = 1"}, exceptions.InvalidArgument, "nobody"),
        ({"row_restriction": "1 = 1; DROP TABLE x"}, exceptions.GoogleAPICallError, "scripts"),
        ({"row_restriction": "TRUE GROUP BY 1"}, exceptions.InvalidArgument, "one condition"),
    ],
)
def test_a_wrong_session_is_refused(server, table, options, error, said):
    with pytest.raises(error, match=said):
        session(server, path_of(table), **options)


def test_avro_is_refused_by_name(server, table):
    wanted = types.ReadSession(table=path_of(table), data_format=types.DataFormat.AVRO)
    request = types.CreateReadSessionRequest(parent="projects/proj", read_session=wanted)
    with pytest.raises(exceptions.MethodNotImplemented, match="Avro"):
        server.reader.create_read_session(request, timeout=10, retry=None)
