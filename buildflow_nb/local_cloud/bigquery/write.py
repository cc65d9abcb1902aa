"""Storage Write: appends in Arrow and protobuf, and streams with offsets or a common commit.

Source: Storage Write API, "google.cloud.bigquery.storage.v1", BigQueryWrite.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import duckdb
import grpc
import pyarrow as pa
from google.rpc import status_pb2

from buildflow_nb.local_cloud.bigquery.calls import (
    Admission,
    Context,
    Pb,
    enum_name,
    enum_value,
    message,
    refuse,
    service_handler,
    table_of,
)
from buildflow_nb.local_cloud.bigquery.catalog import Table
from buildflow_nb.local_cloud.bigquery.proto_rows import ProtoRows
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import RefusedError, invalid, not_served
from buildflow_nb.local_cloud.bigquery.service import Service
from buildflow_nb.local_cloud.bigquery.streams import (
    DEFAULT,
    AppendError,
    Fault,
    RowsError,
    WriteStream,
    WriteStreams,
)

__all__ = ("StorageWrite",)

THREADS = 8
MOST_BYTES = 10 << 20  # of a request: "Quotas and limits", "Storage Write API"
T = TypeVar("T")


class StorageWrite:
    """The service BigQueryWrite."""

    def __init__(self, service: Service, admission: Admission) -> None:
        self._service = service
        self._streams = WriteStreams(service.database, service.catalog)
        self._admission = admission
        self._threads = ThreadPoolExecutor(THREADS, "bigquery write")

    def handler(self) -> Any:
        """It for a gRPC server."""
        unary = {
            "CreateWriteStream": (self._create, "CreateWriteStreamRequest"),
            "GetWriteStream": (self._get, "GetWriteStreamRequest"),
            "FinalizeWriteStream": (self._finalize, "FinalizeWriteStreamRequest"),
            "BatchCommitWriteStreams": (self._commit, "BatchCommitWriteStreamsRequest"),
            "FlushRows": (self._flush, "FlushRowsRequest"),
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(answer), message(request).FromString, _serialized
            )
            for name, (answer, request) in unary.items()
        }
        request = message("AppendRowsRequest").FromString
        methods["AppendRows"] = grpc.stream_stream_rpc_method_handler(
            self._append, request, _serialized
        )
        return service_handler("BigQueryWrite", methods)

    def close(self) -> None:
        """Take no more work, when what was begun is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _answering(self, answer: Callable[[Pb], Pb]) -> Callable[[Pb, Context], Any]:
        async def on(request: Pb, context: Context) -> Pb:
            await self._admission.check(context)
            try:
                return await self._do(lambda: answer(request))
            except RefusedError as error:
                await refuse(context, error)

        return on

    def _create(self, request: Pb) -> Pb:
        ref = table_of(request.parent)
        if ref is None:
            msg = f"Invalid parent: {request.parent!r}"
            raise invalid(msg)
        kind = enum_name("WriteStream.Type", request.write_stream.type_)
        if kind not in ("COMMITTED", "PENDING"):
            msg = f"write streams of type {kind}"
            raise not_served(msg)
        return self._shown(self._streams.create(ref, kind))

    def _get(self, request: Pb) -> Pb:
        if request.name.endswith(f"/{DEFAULT}"):
            ref = _target(request.name)
            self._service.catalog.table(ref)
            return message("WriteStream")(
                name=request.name, type_=enum_value("WriteStream.Type", "COMMITTED")
            )
        return self._shown(self._streams.get(request.name))

    def _shown(self, stream: WriteStream) -> Pb:
        made = message("WriteStream")(name=stream.name, location="us")
        made.type_ = enum_value("WriteStream.Type", stream.type)
        made.create_time.FromMicroseconds(int(stream.created * 1_000_000))
        if stream.committed is not None:
            made.commit_time.FromMicroseconds(int(stream.committed * 1_000_000))
        return made

    def _finalize(self, request: Pb) -> Pb:
        rows = self._streams.finalize(request.name)
        return message("FinalizeWriteStreamResponse")(row_count=rows)

    def _commit(self, request: Pb) -> Pb:
        ref = table_of(request.parent)
        if ref is None:
            msg = f"Invalid parent: {request.parent!r}"
            raise invalid(msg)
        when, errors = self._streams.commit(ref, list(request.write_streams))
        answer = message("BatchCommitWriteStreamsResponse")()
        if not errors:
            answer.commit_time.FromMicroseconds(int(when * 1_000_000))
        for error in errors:
            code = enum_value("StorageError.StorageErrorCode", error.fault.value)
            answer.stream_errors.add(code=code, entity=str(error), error_message=error.fault.value)
        return answer

    def _flush(self, request: Pb) -> Pb:
        del request
        what = "write streams of type BUFFERED"
        raise not_served(what)

    async def _append(self, requests: AsyncIterator[Pb], context: Context) -> AsyncIterator[Pb]:
        await self._admission.check(context)
        connection = _Connection(self._service, self._streams)
        async for request in requests:
            try:
                yield await self._do(partial(connection.append, request))
            except RefusedError as error:
                await refuse(context, error)


class _Connection:
    """What a call to AppendRows has said so far: the stream, and the form of the rows."""

    def __init__(self, service: Service, streams: WriteStreams) -> None:
        self._service = service
        self._streams = streams
        self._stream = ""
        self._schema: Any = None
        self._proto: ProtoRows | None = None

    def append(self, request: Pb) -> Pb:
        """Append the rows of a request; gives the answer.

        Raises:
            RefusedError: the call is over with that.
        """
        stream = request.write_stream or self._stream
        if not stream:
            msg = "The first request must name its write_stream"
            raise invalid(msg)
        if request.ByteSize() > MOST_BYTES:
            msg = f"Request is too large: {request.ByteSize()} bytes, at most {MOST_BYTES}"
            raise invalid(msg)
        if stream != self._stream:
            self._stream, self._schema, self._proto = stream, None, None
        answer = message("AppendRowsResponse")(write_stream=stream)
        offset = request.offset.value if request.HasField("offset") else None
        try:
            rows = self._rows(request, self._service.catalog.table(_target(stream)))
            at = self._streams.append(stream, rows, offset)
            answer.append_result.SetInParent()
            if at is not None:
                answer.append_result.offset.value = at
        except AppendError as error:
            answer.error.CopyFrom(_status(error, stream))
        except RowsError as error:
            answer.error.code, answer.error.message = _CODES["INVALID_ARGUMENT"], str(error)
            fault = enum_value("RowError.RowErrorCode", "FIELDS_ERROR")
            for index, said in error.rows.items():
                answer.row_errors.add(index=index, code=fault, message=said)
        except duckdb.DataError as error:
            answer.error.code = _CODES["INVALID_ARGUMENT"]
            answer.error.message = str(error).splitlines()[0]
        return answer

    def _rows(self, request: Pb, table: Table) -> pa.Table:
        try:
            if request.HasField("arrow_rows"):
                return self._arrow(request.arrow_rows)
            if request.HasField("proto_rows"):
                return self._protobuf(request.proto_rows, table)
        except (ValueError, TypeError, pa.ArrowException, OSError) as error:
            raise AppendError(Fault.UNSPECIFIED, str(error)) from error
        msg = "The request has no rows"
        raise invalid(msg)

    def _arrow(self, given: Pb) -> pa.Table:
        if given.writer_schema.serialized_schema:
            self._schema = pa.ipc.read_schema(pa.py_buffer(given.writer_schema.serialized_schema))
        if self._schema is None:
            msg = "The first request of a stream must carry its writer_schema"
            raise invalid(msg)
        data = given.rows.serialized_record_batch
        if not data:
            empty: Any = self._schema.empty_table()
            return empty
        batch = pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)
        batch.validate()
        return pa.Table.from_batches([batch])

    def _protobuf(self, given: Pb, table: Table) -> pa.Table:
        if given.writer_schema.proto_descriptor.field:
            self._proto = ProtoRows(given.writer_schema.proto_descriptor)
        if self._proto is None:
            msg = "The first request of a stream must carry its writer_schema"
            raise invalid(msg)
        return self._proto.table(given.rows.serialized_rows, table)


_CODES = {code.name: code.value[0] for code in grpc.StatusCode}


def _status(error: AppendError, stream: str) -> status_pb2.Status:
    made = status_pb2.Status(code=_CODES[error.code], message=str(error))
    code = enum_value("StorageError.StorageErrorCode", error.fault.value)
    detail = message("StorageError")(code=code, entity=stream, error_message=str(error))
    made.details.add().Pack(detail)
    return made


def _target(stream: str) -> TableRef:
    ref = table_of(stream)
    if ref is None or "/streams/" not in stream:
        msg = f"Invalid stream name: {stream!r}; it is like {{table}}/streams/_default"
        raise invalid(msg)
    return ref


def _serialized(answer: Pb) -> bytes:
    data: bytes = answer.SerializeToString()
    return data
