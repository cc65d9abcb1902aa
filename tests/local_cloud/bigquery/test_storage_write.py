"""Storage Write through Google's async client: the default stream, offsets, batch commits."""

from __future__ import annotations

import asyncio

import grpc
import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import SchemaField, Table
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.local_cloud.bigquery.appending import (
    append,
    arrow_request,
    call,
    default_stream,
    people,
)

INVALID, EXISTS, OUT_OF_RANGE = 3, 6, 11
SCHEMA = [SchemaField("id", "INTEGER", "REQUIRED"), SchemaField("name", "STRING")]


@pytest.fixture
def table(client, dataset):
    return client.create_table(Table(f"proj.{dataset}.people", SCHEMA))


@pytest.fixture
def names(client, table):
    def names():
        rows = client.list_rows(table, retry=None, timeout=10)
        return [row.name for row in sorted(rows, key=lambda row: row.id)]

    return names


@pytest.fixture
def default(table):
    return default_stream(table.dataset_id, "people")


def parent(table):
    return f"projects/proj/datasets/{table.dataset_id}/tables/{table.table_id}"


def made(server, table, kind):
    stream = types.WriteStream(type_=types.WriteStream.Type[kind])
    request = types.CreateWriteStreamRequest(parent=parent(table), write_stream=stream)
    return call(server, "create_write_stream", request).name


def test_arrow_rows_are_appended_over_one_call(server, names, default):
    answers = append(
        server,
        arrow_request(default, people("a", "b")),
        arrow_request("", people("c", first=2), schema=False),
        arrow_request("", people(), schema=False),
    )
    assert [answer.error.code for answer in answers] == [0, 0, 0]
    assert answers[0].write_stream == default
    assert names() == ["a", "b", "c"]


def test_columns_that_are_left_out_are_null(server, names, default):
    append(server, arrow_request(default, people("a").select(["id"])))
    assert names() == [None]


def test_rows_at_fault_are_named_and_none_is_stored(server, names, default):
    rows = pa.table({"id": pa.array([1, None, 3, None]), "name": ["a", "b", "c", "d"]})
    (answer,) = append(server, arrow_request(default, rows))
    assert answer.error.code == INVALID
    assert [(each.index, each.code.name) for each in answer.row_errors] == [
        (1, "FIELDS_ERROR"),
        (3, "FIELDS_ERROR"),
    ]
    assert "id" in answer.row_errors[0].message
    assert names() == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pa.table({"id": [1], "nobody": ["x"]}), "nobody has no matching column"),
        (pa.table({"id": ["one"]}), "id is string"),
        (pa.table({"id": pa.array([1]), "name": pa.nulls(1)}), "name is null"),
    ],
)
def test_columns_of_others_are_refused_and_the_call_goes_on(server, names, default, rows, said):
    bad, good = append(
        server, arrow_request(default, rows), arrow_request(default, people("after"))
    )
    assert (bad.error.code, good.error.code) == (INVALID, 0)
    assert said in bad.error.message
    assert names() == ["after"]


def test_nested_rows_are_appended(server, client, dataset):
    fields = [SchemaField("sku", "STRING"), SchemaField("n", "INTEGER")]
    schema = [
        SchemaField("tags", "STRING", "REPEATED"),
        SchemaField("items", "RECORD", "REPEATED", fields=fields),
        SchemaField("j", "JSON"),
    ]
    client.create_table(Table(f"proj.{dataset}.nested", schema))
    item = pa.struct([("sku", pa.string()), ("n", pa.int64())])
    rows = pa.table(
        {
            "tags": pa.array([["a", "b"], None], pa.list_(pa.string())),
            "items": pa.array([[{"sku": "x", "n": 1}], []], pa.list_(item)),
            "j": ['{"a": 1}', None],
        }
    )
    (answer,) = append(server, arrow_request(default_stream(dataset, "nested"), rows))
    assert answer.error.code == 0, answer.error
    found = client.list_rows(f"{dataset}.nested", retry=None, timeout=10)
    assert [
        tuple(row.values()) for row in client.list_rows(client.get_table(f"{dataset}.nested"))
    ] == [
        (["a", "b"], [{"sku": "x", "n": 1}], {"a": 1}),
        ([], [], None),
    ]
    del found


def test_protobuf_rows_are_appended(server, client, dataset):
    schema = [
        SchemaField("id", "INTEGER"),
        SchemaField("name", "STRING"),
        SchemaField("at", "TIMESTAMP"),
        SchemaField("day", "DATE"),
        SchemaField("tags", "STRING", "REPEATED"),
    ]
    client.create_table(Table(f"proj.{dataset}.proto", schema))
    kinds = (("id", 3, 1), ("name", 9, 1), ("at", 3, 1), ("day", 5, 1), ("tags", 9, 3))
    row = descriptor_pb2.DescriptorProto(name="Row")
    for number, (name, kind, label) in enumerate(kinds, 1):
        row.field.add(name=name, number=number, type=kind, label=label)
    file = descriptor_pb2.FileDescriptorProto(name="r.proto", package="r", syntax="proto2")
    file.message_type.add().CopyFrom(row)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    make = message_factory.GetMessageClass(pool.FindMessageTypeByName("r.Row"))
    rows = [make(id=1, name="a", at=1_000_000, day=1, tags=["x"]), make(id=2)]
    data = types.AppendRowsRequest.ProtoData(
        writer_schema=types.ProtoSchema(proto_descriptor=row),
        rows=types.ProtoRows(serialized_rows=[each.SerializeToString() for each in rows]),
    )
    stream = default_stream(dataset, "proto")
    (answer,) = append(server, types.AppendRowsRequest(write_stream=stream, proto_rows=data))
    assert answer.error.code == 0, answer.error
    sql = f"SELECT id, name, UNIX_SECONDS(at), day, tags FROM {dataset}.proto ORDER BY id"
    found = client.query(sql)
    got = [tuple(each.values()) for each in found.result(timeout=10)]
    assert got[0][:3] == (1, "a", 1)
    assert str(got[0][3]) == "1970-01-02"
    assert [each[4] for each in got] == [["x"], []]


def test_an_offset_is_stored_once(server, table, names):
    stream = made(server, table, "COMMITTED")
    first, again, beyond, second = append(
        server,
        arrow_request(stream, people("a", "b"), offset=0),
        arrow_request(stream, people("a", "b"), offset=0),
        arrow_request(stream, people("x"), offset=5),
        arrow_request(stream, people("c", first=2), offset=2),
    )
    assert (first.append_result.offset, second.append_result.offset) == (0, 2)
    assert (again.error.code, beyond.error.code) == (EXISTS, OUT_OF_RANGE)
    assert names() == ["a", "b", "c"]
    done = call(server, "finalize_write_stream", types.FinalizeWriteStreamRequest(name=stream))
    assert done.row_count == 3
    (late,) = append(server, arrow_request(stream, people("d", first=3), offset=3))
    assert late.error.code == INVALID
    assert names() == ["a", "b", "c"]


def test_the_default_stream_takes_no_offset(server, default, names):
    (answer,) = append(server, arrow_request(default, people("a"), offset=0))
    assert answer.error.code == INVALID
    assert names() == []


def test_pending_streams_are_committed_at_once(server, table, names):
    streams = [made(server, table, "PENDING") for _ in range(2)]
    for number, stream in enumerate(streams):
        append(server, arrow_request(stream, people(f"n{number}", first=number), offset=0))
    assert names() == []
    request = types.BatchCommitWriteStreamsRequest(parent=parent(table), write_streams=streams)
    early = call(server, "batch_commit_write_streams", request)
    assert {each.code.name for each in early.stream_errors} == {"INVALID_STREAM_STATE"}
    assert names() == []
    for stream in streams:
        call(server, "finalize_write_stream", types.FinalizeWriteStreamRequest(name=stream))
    done = call(server, "batch_commit_write_streams", request)
    assert not done.stream_errors
    assert done.commit_time
    assert names() == ["n0", "n1"]
    again = call(server, "batch_commit_write_streams", request)
    assert {each.code.name for each in again.stream_errors} == {"STREAM_ALREADY_COMMITTED"}
    assert names() == ["n0", "n1"]


def test_a_stream_tells_what_it_is(server, table, default):
    for name, kind in ((default, "COMMITTED"), (made(server, table, "PENDING"), "PENDING")):
        found = call(server, "get_write_stream", types.GetWriteStreamRequest(name=name))
        assert (found.name, found.type_.name) == (name, kind)


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer other"),)])
def test_without_the_password_nothing_is_appended_or_read(server, default, names, metadata):
    async def run():
        async with server.channel() as channel:
            client = server.writer(channel)
            request = types.GetWriteStreamRequest(name=default)
            with pytest.raises(exceptions.Unauthenticated, match="password"):
                await client.get_write_stream(request, metadata=metadata, retry=None)
            requests = aiter_of([arrow_request(default, people("a"))])
            with pytest.raises(exceptions.GoogleAPICallError):
                async for _ in await client.append_rows(requests=requests, metadata=metadata):
                    pass

    asyncio.run(run())
    assert names() == []
    plain = grpc.insecure_channel(f"127.0.0.1:{server.storage_port}")
    reader = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=plain))
    with pytest.raises(exceptions.Unauthenticated, match="password"):
        reader.create_read_session(
            parent="projects/proj",
            read_session=types.ReadSession(table="projects/p/datasets/d/tables/t"),
            metadata=metadata,
            retry=None,
        )
    plain.close()


async def aiter_of(items):
    for item in items:
        yield item


def test_what_is_missing_or_not_served_ends_the_call(server, table, dataset):
    with pytest.raises(exceptions.NotFound, match="Not found: Table"):
        append(server, arrow_request(default_stream(dataset, "missing"), people("a")))
    with pytest.raises(exceptions.InvalidArgument, match="Invalid stream name"):
        append(server, arrow_request(f"{parent(table)}/_default", people("a")))
    with pytest.raises(exceptions.InvalidArgument, match="writer_schema"):
        append(server, arrow_request(default_stream(dataset, "people"), people("a"), schema=False))
    with pytest.raises(exceptions.MethodNotImplemented, match="BUFFERED"):
        made(server, table, "BUFFERED")
    huge = people("x" * (11 << 20))
    with pytest.raises(exceptions.InvalidArgument, match="too large"):
        append(server, arrow_request(default_stream(dataset, "people"), huge))
