"""Appends to write streams through Google's async client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from tests.local_cloud.bigquery.servers import METADATA

ANSWER_S = 10.0


def arrow_request(stream, table, *, schema=True, offset=None):
    """The rows of an Arrow table as a request."""
    batches = table.combine_chunks().to_batches()
    data = types.AppendRowsRequest.ArrowData()
    if schema:
        data.writer_schema = types.ArrowSchema(
            serialized_schema=table.schema.serialize().to_pybytes()
        )
    if batches:
        data.rows = types.ArrowRecordBatch(
            serialized_record_batch=batches[0].serialize().to_pybytes()
        )
    return types.AppendRowsRequest(write_stream=stream, arrow_rows=data, offset=offset)


def default_stream(dataset, table, project="proj"):
    return f"projects/{project}/datasets/{dataset}/tables/{table}/streams/_default"


class Appending:
    """A call to AppendRows."""

    def __init__(self, call, requests):
        self._call = call
        self._requests = requests

    async def send(self, request):
        await self._requests.put(request)
        return await asyncio.wait_for(self._call.read(), ANSWER_S)


@asynccontextmanager
async def appending(server):
    """Open a call; leaving the context ends it."""
    requests = asyncio.Queue(10)

    async def each():
        while (request := await requests.get()) is not None:
            yield request

    async with server.channel() as channel:
        call = await server.writer(channel).append_rows(requests=each(), metadata=METADATA)
        yield Appending(call, requests)
        await requests.put(None)


def append(server, *requests):
    """Make appends over one call; gives the answers."""

    async def run():
        async with appending(server) as call:
            return [await call.send(request) for request in requests]

    return asyncio.run(run())


def call(server, method, request):
    """Make a unary call."""

    async def run():
        async with server.channel() as channel:
            made = getattr(server.writer(channel), method)
            return await made(request, metadata=METADATA, timeout=ANSWER_S, retry=None)

    return asyncio.run(run())


def people(*names, first=0):
    return pa.table(
        {
            "id": pa.array(range(first, first + len(names)), pa.int64()),
            "name": pa.array(names, pa.string()),
        }
    )
