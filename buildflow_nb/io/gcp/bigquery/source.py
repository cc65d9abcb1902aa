"""Reads rows by the Storage Read API: those of a table at one moment, or what a query gives.

A session is a snapshot, so that a reader which was cut off goes on at the row where it was. The
rows come as Arrow, in batches as BigQuery makes them.

Source: BigQuery documentation, "Use the BigQuery Storage Read API to read table data".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import BuildFlowError, PermanentError, TemporaryError, told
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.columns.arrow_rows import record_rows
from buildflow_nb.io.gcp.bigquery.access import (
    CALL_S,
    CLOSE_S,
    Access,
    access,
    is_cancelled,
    message,
    rest_client,
)
from buildflow_nb.io.gcp.bigquery.names import TableName
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.threads import Threads

__all__ = ("Reading", "RowSource")

ROLE = "roles/bigquery.readSessionUser"
QUERY_ROLE = "roles/bigquery.jobUser"
METHOD = "/google.cloud.bigquery.storage.v1.BigQueryRead"
ARROW = 2  # DataFormat
QUERY_S = 3600.0  # for a query to be over; BigQuery's own bound is six hours
EXTENSION = b"ARROW:extension:name"
JSON = b"google:sqlType:json"


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: a table, or what a query gives."""

    project: str
    table: TableName | None = None
    query: str = ""
    location: str | None = None

    def target(self, env: Env) -> Target:
        """It as people name it."""
        if self.table is not None:
            return Target("table", str(self.table), env.stack_said)
        return Target("query", " ".join(self.query.split())[:60], env.stack_said)


class RowSource:
    """A bounded source of records."""

    def __init__(self, env: Env, reading: Reading) -> None:
        self._env = env
        self._reading = reading
        self._target = reading.target(env)
        self._threads = Threads("bigquery source", 1)
        self._access: Access | None = None
        self._channel: Any = None
        self._call: Any = None
        self._stream = ""
        self._schema: Any = None
        self._finish: Mapping[str, Callable[[Any], Any]] = {}
        self._rows = 0  # that were handed out
        self._all: int | None = None  # rows, where BigQuery has said
        self._prepared = False  # whether there is a session
        self._cut = False  # since a batch was read
        self._over = False
        self._fault: BaseException | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except asyncio.CancelledError:
            await self.__aexit__()
            raise
        except Exception as error:
            found = self._meaning(error)
            if not isinstance(found, TemporaryError):
                await self.__aexit__()
                raise found from error
            await self._let_go()  # the first pull says it
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._let_go()
        self._threads.close()

    async def pull(self) -> Batch | None:
        """The next records, as many as BigQuery puts into one answer."""
        if self._fault is not None:
            raise self._fault
        if self._over:
            return None
        try:
            if self._call is None:
                await self._open()
            return await self._fetch() if self._call is not None else self._end()
        except asyncio.CancelledError as error:
            self._give_up_call()  # what it had on its way is asked for again
            if is_cancelled():
                raise
            self._cut = True
            msg = f"{self._target} cannot be reached: the connection was closed"
            raise TemporaryError(msg) from error
        except BaseException as error:
            await self._let_go()
            self._cut = True
            found = self._meaning(error)
            if isinstance(found, PermanentError):
                self._fault = found
            raise found from error

    async def _fetch(self) -> Batch | None:
        async with asyncio.timeout(CALL_S):
            answer = await self._call.read()
        if not hasattr(answer, "row_count"):
            return self._end()
        items = await self._run(lambda: self._records(answer))
        first, self._rows = self._rows, self._rows + len(items)
        self._cut = False
        name = self._target.name if self._reading.table is not None else "query"
        return Batch(items, origin=lambda i: f"{name} row {first + 1 + i}")

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Nothing is given back."""

    async def backlog(self) -> int | None:
        """Rows that were not read yet, as far as BigQuery has said how many there are."""
        return None if self._all is None else max(0, self._all - self._rows)

    def _end(self) -> Batch | None:
        if self._cut:  # an end right after a fault is not believed
            self._cut = False
            self._give_up_call()
            return Batch(())
        self._all, self._over = self._rows, True
        return None

    def _records(self, answer: Any) -> list[object]:
        import pyarrow as pa

        data = pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
        return record_rows(pa.ipc.read_record_batch(data, self._schema), self._finish)

    async def _open(self) -> None:
        """Begin to read, or to go on."""
        if not self._prepared:
            table = await self._run(self._prepare)
            await self._begin(table)
            self._prepared = True
        elif self._channel is None:
            self._access = await self._run(self._reach)
            self._channel = self._access.channel()
        if self._stream:
            await self._read_on()

    def _reach(self) -> Access:
        with self._target.faults(ROLE):
            return access(self._env)

    def _prepare(self) -> str:
        """The path of the table to read; for a query it is carried out. Blocks."""
        self._access = self._reach()
        if self._reading.table is not None:
            return self._reading.table.path
        reading = self._reading
        with (
            self._target.faults(QUERY_ROLE),
            closing(rest_client(self._access, reading.project, reading.location)) as rest,
        ):
            job = rest.query(reading.query, retry=None, job_retry=None, timeout=CALL_S)
            job.result(retry=None, job_retry=None, timeout=QUERY_S, max_results=0)
            into = job.destination
        if into is None or job.statement_type not in (None, "SELECT"):
            msg = f"{self._target} gives no rows; make it one SELECT"
            raise PermanentError(msg)
        return TableName(into.project, into.dataset_id, into.table_id).path

    async def _begin(self, table: str) -> None:
        import pyarrow as pa

        assert self._access is not None  # noqa: S101  (it was reached)
        self._channel = self._access.channel()
        request = message("CreateReadSessionRequest")(parent=f"projects/{self._reading.project}")
        request.read_session.table = table
        request.read_session.data_format = ARROW
        request.max_stream_count = 1  # which keeps the order of a query
        made = message("ReadSession")
        stub = self._channel.unary_unary(
            f"{METHOD}/CreateReadSession",
            request_serializer=_serialized,
            response_deserializer=made.FromString,
        )
        metadata = self._access.metadata(**{"read_session.table": table})
        session = await stub(request, timeout=CALL_S, metadata=metadata)
        self._schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        self._finish = {
            part.name: json.loads
            for part in self._schema
            if (part.metadata or {}).get(EXTENSION) == JSON and pa.types.is_string(part.type)
        }
        self._all = session.estimated_row_count or None
        self._stream = session.streams[0].name if session.streams else ""

    async def _read_on(self) -> None:
        assert self._access is not None  # noqa: S101  (it was reached)
        request = message("ReadRowsRequest")(read_stream=self._stream, offset=self._rows)
        stub = self._channel.unary_stream(
            f"{METHOD}/ReadRows",
            request_serializer=_serialized,
            response_deserializer=message("ReadRowsResponse").FromString,
        )
        self._call = stub(request, metadata=self._access.metadata(read_stream=self._stream))

    def _meaning(self, error: BaseException) -> BaseException:
        from grpc.aio import AioRpcError

        if isinstance(error, BuildFlowError):
            return error
        if isinstance(error, AioRpcError):
            if self._prepared and error.code().name == "NOT_FOUND":
                msg = f"{self._target}: the snapshot is gone behind row {self._rows}; run it again"
                return PermanentError(msg)
            return self._target.refused(error, ROLE)
        if isinstance(error, TimeoutError):
            return TemporaryError(f"{self._target} cannot be reached: no answer in {CALL_S:g} s")
        if isinstance(error, ConnectionError):
            return TemporaryError(f"{self._target} cannot be reached: {told(error)}")
        kind, said = type(error).__name__, told(error)
        return PermanentError(f"{self._target}: {kind if said == kind else f'{kind}: {said}'}")

    def _give_up_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def _let_go(self) -> None:
        self._give_up_call()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(CLOSE_S)

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._threads.submit(work))


def _serialized(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    return data
