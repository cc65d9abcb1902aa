"""Load jobs through Google's client: uploads of three formats, and files of Cloud Storage."""

from __future__ import annotations

import io
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import LoadJobConfig, SchemaField, SourceFormat

from tests.local_cloud.bigquery.servers import running

SCHEMA = [
    SchemaField("id", "INTEGER", "REQUIRED"),
    SchemaField("name", "STRING"),
    SchemaField("at", "TIMESTAMP"),
]
JSON = [{"id": i, "name": f"n{i}", "at": "2026-01-01 00:00:00 UTC"} for i in range(3)]


@pytest.fixture
def load(client, dataset):
    def load(data, kind, table="loaded", **options):
        config = LoadJobConfig(source_format=kind, **options)
        file = io.BytesIO(data)
        job = client.load_table_from_file(file, f"{dataset}.{table}", job_config=config, timeout=10)
        return job.result(retry=None, timeout=10)

    return load


@pytest.fixture
def rows(client, dataset):
    def rows(table="loaded"):
        found = client.list_rows(client.get_table(f"{dataset}.{table}"), retry=None, timeout=10)
        return [tuple(row.values()) for row in found]

    return rows


@pytest.fixture
def tables(client, dataset):
    return lambda: [table.table_id for table in client.list_tables(dataset)]


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(**columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def test_json_lines_are_loaded(load, rows):
    job = load(lines(JSON), SourceFormat.NEWLINE_DELIMITED_JSON, schema=SCHEMA)
    assert (job.output_rows, job.input_files) == (3, 1)
    assert [row[:2] for row in rows()] == [(0, "n0"), (1, "n1"), (2, "n2")]


def test_csv_is_loaded(load, rows):
    data = b'id;name;at\n1;"a;b";2026-01-01\n2;;\n'
    load(data, SourceFormat.CSV, schema=SCHEMA, skip_leading_rows=1, field_delimiter=";")
    assert [(row[0], row[1], row[2] and row[2].year) for row in rows()] == [
        (1, "a;b", 2026),
        (2, None, None),
    ]


def test_parquet_is_loaded_with_the_columns_that_it_has(load, rows, client, dataset):
    load(parquet(i=[1, 2], s=["x", None], l=[["a"], []]), SourceFormat.PARQUET)
    assert rows() == [(1, "x", ["a"]), (2, None, [])]
    schema = client.get_table(f"{dataset}.loaded").schema
    assert [(f.field_type, f.mode) for f in schema] == [
        ("INTEGER", "NULLABLE"),
        ("STRING", "NULLABLE"),
        ("STRING", "REPEATED"),
    ]


def test_columns_are_found_when_asked(load, rows):
    load(b"a,b\n1,x\n2,y\n", SourceFormat.CSV, autodetect=True)
    assert rows() == [(1, "x"), (2, "y")]
    load(
        lines([{"a": 1, "b": ["x"]}]), SourceFormat.NEWLINE_DELIMITED_JSON, "other", autodetect=True
    )
    assert rows("other") == [(1, ["x"])]


def test_what_is_there_is_kept_replaced_or_in_the_way(load, rows):
    for write, expected in (
        ("WRITE_EMPTY", [1]),
        ("WRITE_APPEND", [1, 1]),
        ("WRITE_TRUNCATE", [1]),
    ):
        load(parquet(i=[1]), SourceFormat.PARQUET, write_disposition=write)
        assert [row[0] for row in rows()] == expected
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        load(parquet(i=[1]), SourceFormat.PARQUET, write_disposition="WRITE_EMPTY")
    load(parquet(other=["x"]), SourceFormat.PARQUET, write_disposition="WRITE_TRUNCATE")
    assert rows() == [("x",)]


def test_columns_are_added_when_allowed(load, rows):
    load(parquet(i=[1]), SourceFormat.PARQUET)
    with pytest.raises(exceptions.BadRequest, match="no matching column"):
        load(parquet(i=[2], s=["x"]), SourceFormat.PARQUET)
    load(
        parquet(i=[2], s=["x"]),
        SourceFormat.PARQUET,
        schema_update_options=["ALLOW_FIELD_ADDITION"],
    )
    assert rows() == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (lines([*JSON, {"id": "x"}]), SourceFormat.NEWLINE_DELIMITED_JSON, "row 4: id"),
        (lines(JSON) + b"{nonsense\n", SourceFormat.NEWLINE_DELIMITED_JSON, "row 4"),
        (lines([{"name": "x"}]), SourceFormat.NEWLINE_DELIMITED_JSON, "Missing required field: id"),
        (b"1,a,2026-01-01\nx,b,\n", SourceFormat.CSV, "row 2: id"),
        (b"1,a,2026-01-01\n2\n", SourceFormat.CSV, "columns"),
        (b"nonsense", SourceFormat.PARQUET, "Parquet"),
        (parquet(id=["one"]), SourceFormat.PARQUET, "id is string"),
        (b"", SourceFormat.AVRO, "loading AVRO"),
    ],
)
def test_a_bad_row_fails_the_job_and_nothing_is_loaded(load, tables, data, kind, said):
    with pytest.raises(exceptions.GoogleAPICallError, match=said):
        load(data, kind, schema=SCHEMA)
    assert tables() == []


def test_bad_rows_are_left_out_up_to_a_bound(load, rows):
    data = lines([JSON[0], {"id": "x"}, JSON[1]])
    job = load(data, SourceFormat.NEWLINE_DELIMITED_JSON, schema=SCHEMA, max_bad_records=1)
    assert (job.output_rows, [row[0] for row in rows()]) == (2, [0, 1])


def test_a_load_job_is_carried_out_once(client, dataset, rows):
    ident, config = uuid.uuid4().hex, LoadJobConfig(source_format=SourceFormat.PARQUET)
    for again in (False, True):
        file = io.BytesIO(parquet(i=[1]))
        send = lambda file=file: client.load_table_from_file(  # noqa: E731
            file, f"{dataset}.loaded", job_id=ident, job_config=config, timeout=10
        )
        if again:
            with pytest.raises(exceptions.Conflict, match="Already Exists: Job"):
                send()
        else:
            send().result()
    assert rows() == [(1,)]


def test_a_large_file_comes_in_pieces(load, rows, monkeypatch):
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 256 << 10)
    data = lines({"id": i, "name": "x" * 100} for i in range(10_000))
    assert len(data) > 4 * (256 << 10)
    job = load(data, SourceFormat.NEWLINE_DELIMITED_JSON, schema=SCHEMA)
    assert (job.output_rows, len(rows())) == (10_000, 10_000)


class FakeStorage(BaseHTTPRequestHandler):
    """As much of Cloud Storage as a load job asks for."""

    files = {"a/1.json": lines(JSON[:1]), "a/2.json": lines(JSON[1:]), "a/x.csv": b""}  # noqa: RUF012

    def do_GET(self):
        url = urlsplit(self.path)
        name = unquote(url.path.partition("/storage/v1/b/bucket/o")[2].lstrip("/"))
        if not name:
            prefix = parse_qs(url.query)["prefix"][0]
            found = [{"name": each} for each in self.files if each.startswith(prefix)]
            self.answer(200, json.dumps({"items": found}).encode())
        else:
            self.answer(200 if name in self.files else 404, self.files.get(name, b""))

    def answer(self, status, data):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_files_of_cloud_storage_are_loaded(tmp_path):
    storage = ThreadingHTTPServer(("127.0.0.1", 0), FakeStorage)
    threading.Thread(target=storage.serve_forever, daemon=True).start()
    config = LoadJobConfig(source_format=SourceFormat.NEWLINE_DELIMITED_JSON, schema=SCHEMA)
    with running(tmp_path, "--cloud-storage-port", str(storage.server_port)) as server:
        client = server.client
        client.create_dataset("d")

        def load(*uris):
            return client.load_table_from_uri(list(uris), "d.t", job_config=config).result(
                retry=None
            )

        assert load("gs://bucket/a/*.json").output_rows == 3
        assert load("gs://bucket/a/1.json").output_rows == 1
        for uri in ("gs://bucket/a/missing.json", "gs://bucket/b/*"):
            with pytest.raises(exceptions.NotFound, match="URI"):
                load(uri)
        with pytest.raises(exceptions.BadRequest, match="no URI of Cloud Storage"):
            load("https://example.com/x.json")
        assert client.get_table("d.t").num_rows == 4
    storage.shutdown()
    storage.server_close()


def test_without_a_cloud_storage_that_is_said(client, dataset):
    with pytest.raises(exceptions.MethodNotImplemented, match="no Cloud Storage beside it"):
        client.load_table_from_uri(
            "gs://b/x", f"{dataset}.t", job_config=LoadJobConfig(schema=SCHEMA)
        ).result(retry=None)


def test_tables_are_copied(client, dataset, load, rows):
    load(parquet(i=[1, 2], s=[["x"], []]), SourceFormat.PARQUET)
    names = [f"{dataset}.loaded", f"{dataset}.loaded"]
    client.copy_table(names, f"{dataset}.copied").result(retry=None)
    assert rows("copied") == [(1, ["x"]), (2, [])] * 2
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        client.copy_table(names[0], f"{dataset}.copied").result(retry=None)
    with pytest.raises(exceptions.NotFound):
        client.copy_table(f"{dataset}.missing", f"{dataset}.other").result(retry=None)


def test_jobs_of_other_kinds_are_refused_by_name(client, dataset, load):
    load(parquet(i=[1]), SourceFormat.PARQUET)
    with pytest.raises(exceptions.MethodNotImplemented, match="extract jobs"):
        client.extract_table(f"{dataset}.loaded", "gs://bucket/x").result(retry=None)
