"""Storage Read: a snapshot of a table or of a query's result, in Arrow.

A session is one stream: a snapshot that lies on the disk is read as fast by one as by several.

Source: Storage Read API, "google.cloud.bigquery.storage.v1", BigQueryRead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import duckdb
import grpc

from buildflow_nb.local_cloud.bigquery.calls import (
    Admission,
    Context,
    Pb,
    enum_value,
    message,
    refuse,
    service_handler,
    table_of,
)
from buildflow_nb.local_cloud.bigquery.refusal import (
    RefusedError,
    invalid,
    not_found,
    not_served,
    of_engine,
)
from buildflow_nb.local_cloud.bigquery.results import RESULTS
from buildflow_nb.local_cloud.bigquery.service import Service
from buildflow_nb.local_cloud.bigquery.sql import condition_sql

__all__ = ("StorageRead",)

THREADS = 8
T = TypeVar("T")


class StorageRead:
    """The service BigQueryRead."""

    def __init__(self, service: Service, admission: Admission) -> None:
        self._service = service
        self._admission = admission
        self._threads = ThreadPoolExecutor(THREADS, "bigquery read")

    def handler(self) -> Any:
        """It for a gRPC server."""
        return service_handler(
            "BigQueryRead",
            {
                "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                    self._session, message("CreateReadSessionRequest").FromString, _serialized
                ),
                "ReadRows": grpc.unary_stream_rpc_method_handler(
                    self._read, message("ReadRowsRequest").FromString, _serialized
                ),
                "SplitReadStream": grpc.unary_unary_rpc_method_handler(
                    self._split, message("SplitReadStreamRequest").FromString, _serialized
                ),
            },
        )

    def close(self) -> None:
        """Take no more work, when what was begun is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _session(self, request: Pb, context: Context) -> Pb:
        await self._admission.check(context)
        try:
            return await self._do(lambda: self._opened(request))
        except RefusedError as error:
            await refuse(context, error)

    def _opened(self, request: Pb) -> Pb:
        wanted = request.read_session
        if wanted.data_format == enum_value("DataFormat", "AVRO"):
            what = "reading in Avro; ask for Arrow"
            raise not_served(what)
        ref = table_of(wanted.table)
        if ref is None:
            msg = f"Invalid table name: {wanted.table!r}"
            raise invalid(msg)
        options = wanted.read_options
        chosen, restriction = list(options.selected_fields), options.row_restriction
        if ref.dataset == RESULTS:
            if restriction:
                what = "row restrictions on the results of queries"
                raise not_served(what)
            name = ref.table
        else:
            table = self._service.catalog.table(ref)
            fields = self._service.chosen(table, chosen)
            condition = condition_sql(restriction) if restriction else ""
            try:
                name, _ = self._service.snapshot(table, fields, condition)
            except duckdb.Error as error:
                raise of_engine(error) from error
            chosen = []
        found = self._service.results.read(name)
        if found is None:
            raise not_found(str(ref))
        if chosen:
            found = found.select(chosen)
        session = f"projects/{ref.project}/locations/us/sessions/{name}"
        answer = message("ReadSession")(name=session, table=wanted.table)
        answer.data_format = enum_value("DataFormat", "ARROW")
        answer.read_options.CopyFrom(options)
        answer.arrow_schema.serialized_schema = found.schema.serialize().to_pybytes()
        answer.estimated_row_count = found.num_rows
        answer.estimated_total_bytes_scanned = found.nbytes
        if found.num_rows:
            answer.streams.add(name=f"{session}/streams/{','.join(chosen) or 'all'}")
        return answer

    async def _read(self, request: Pb, context: Context) -> AsyncIterator[Pb]:
        await self._admission.check(context)
        session, _, columns = request.read_stream.rpartition("/streams/")
        found = await self._do(lambda: self._service.results.read(session.rpartition("/")[2]))
        if found is None:
            await refuse(context, not_found(f"stream {request.read_stream}"))
        if columns != "all":
            found = found.select(columns.split(","))
        schema = found.schema.serialize().to_pybytes()
        for batch in found.slice(request.offset).to_batches():
            answer = message("ReadRowsResponse")(row_count=batch.num_rows)
            if schema:
                answer.arrow_schema.serialized_schema, schema = schema, b""
            data = await self._do(partial(_batch_bytes, batch))
            answer.arrow_record_batch.serialized_record_batch = data
            answer.arrow_record_batch.row_count = batch.num_rows
            yield answer

    async def _split(self, request: Pb, context: Context) -> Pb:
        del request
        await self._admission.check(context)
        return message("SplitReadStreamResponse")()  # it cannot be split, as the API may say


def _batch_bytes(batch: Any) -> bytes:
    data: bytes = batch.serialize().to_pybytes()
    return data


def _serialized(answer: Pb) -> bytes:
    data: bytes = answer.SerializeToString()
    return data
