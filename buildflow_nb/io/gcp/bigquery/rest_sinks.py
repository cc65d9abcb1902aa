"""The other two ways to write: load jobs, which cost nothing, and streaming inserts by REST.

A load job loads a push whole, as Parquet, within seconds, and a table takes 1,500 of them a day. A
job has an id, and BigQuery carries one id out once: that makes a push that is repeated safe, with
nothing noted here. Streaming inserts cost twice what Storage Write does; rows that are sent again
within a minute are told by their ids, as well as BigQuery can.

Source: BigQuery documentation, "Batch loading data"; "Use the legacy streaming API".
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import decimal
import hashlib
import io
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import ConversionError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.columns.element_columns import ElementColumns
from buildflow_nb.io.gcp.bigquery.access import CALL_S, access, rest_client
from buildflow_nb.io.gcp.bigquery.existing import Existing, columns_for
from buildflow_nb.io.gcp.bigquery.names import TableName
from buildflow_nb.io.gcp.bigquery.schema import wire_rows, wire_schema
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.partial_push import Failures, raise_failed
from buildflow_nb.io.threads import Threads

__all__ = ("InsertAllSink", "LoadSink")

ROLE = "roles/bigquery.dataEditor"
SAID = "rows cannot be written"
LOAD_S = 600.0  # for a job to be over
MOST_TRIES = 1_000  # of one push; a job that failed keeps its id
REQUEST_ROWS = 5_000
REQUEST_BYTES = 9_000_000  # of JSON; a request has 10 MB at most


class _RestSink:
    """A sink over Google's own client, which blocks: pushes take turns on one thread."""

    def __init__(self, env: Env, name: TableName, element: object) -> None:
        self._env = env
        self._name = name
        self._element = element
        self._target = Target("table", str(name), env.stack_said)
        self._columns: ElementColumns | None = None
        self._schema: Any = None
        self._threads = Threads("bigquery sink", 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.close()

    async def push(self, items: Sequence[object]) -> None:
        """Write the items; a caller that is cancelled waits for it."""
        await self._do(items, uuid.uuid4().hex)

    async def _do(self, items: Sequence[object], ident: str) -> None:
        if not items:
            return
        future = asyncio.wrap_future(self._threads.submit(lambda: self._push(items, ident)))
        try:
            failed = await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait((future,))
            raise
        raise_failed(failed, len(items), SAID)

    def _push(self, items: Sequence[object], ident: str) -> Failures:
        if self._columns is None:
            there = Existing.of(self._env, self._name, self._target)
            self._columns = columns_for(self._element, there, self._target)
            self._schema = wire_schema(self._columns)
        found = self._columns.fit(items)
        failed = dict(found.faults)
        if found.kept:
            rows = wire_rows(found.table, self._schema)
            with (
                self._target.faults(ROLE),
                closing(rest_client(access(self._env), self._name.project)) as rest,
            ):
                failed |= self._write(rest, rows, found.kept, ident)
        return failed

    def _write(self, rest: Any, rows: Any, positions: Sequence[int], ident: str) -> Failures:
        raise NotImplementedError


class InsertAllSink(_RestSink):
    """Streaming inserts."""

    def _write(self, rest: Any, rows: Any, positions: Sequence[int], ident: str) -> Failures:
        failed: Failures = {}
        for part, first in _requests(_json_rows(rows), failed, positions):
            ids = [f"{ident}-{row}" for row in first]
            errors = rest.insert_rows_json(
                str(self._name),
                part,
                row_ids=ids,
                skip_invalid_rows=True,
                retry=None,
                timeout=CALL_S,
            )
            for error in errors:
                said = "; ".join(str(one.get("message")) for one in error["errors"])
                failed[positions[first[error["index"]]]] = ConversionError(said)
        return failed


class LoadSink(_RestSink):
    """Load jobs."""

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """Load the items, unless this very push was loaded before."""
        table = hashlib.blake2s(str(self._name).encode(), digest_size=6).hexdigest()
        await self._do(items, f"{push}-{table}")

    def _write(self, rest: Any, rows: Any, positions: Sequence[int], ident: str) -> Failures:
        import pyarrow.parquet as pq
        from google.api_core.exceptions import BadRequest

        del positions
        file = io.BytesIO()
        pq.write_table(rows, file)
        job = self._begun(rest, file, f"buildflow-{ident}")
        try:
            job.result(retry=None, timeout=LOAD_S)
        except BadRequest as error:
            msg = f"{self._target} does not load the rows: {error.message}"
            raise ConversionError(msg) from error
        except TimeoutError as error:
            msg = f"{self._target}: load job {job.job_id} is not over after {LOAD_S:g} s"
            raise TemporaryError(msg) from error
        return {}

    def _begun(self, rest: Any, file: io.BytesIO, job_id: str) -> Any:
        """The job of this id: begun now, or before; where that one failed, its next try."""
        from google.api_core.exceptions import Conflict

        size = file.tell()
        for number in range(MOST_TRIES):
            tried = f"{job_id}-{number}" if number else job_id
            try:
                return rest.load_table_from_file(
                    file,
                    str(self._name),
                    rewind=True,
                    size=size,
                    job_id=tried,
                    job_config=_load_config(),
                    timeout=CALL_S,
                    num_retries=0,
                )
            except Conflict:
                job = rest.get_job(tried, retry=None, timeout=CALL_S)
                if not job.error_result:
                    return job
        msg = f"{self._target}: load job {job_id} failed {MOST_TRIES} times; see it in BigQuery"
        raise PermanentError(msg)


def _load_config() -> Any:
    from google.cloud import bigquery

    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
    )
    options: Any = bigquery.ParquetOptions
    config.parquet_options = options()
    config.parquet_options.enable_list_inference = True
    return config


def _requests(
    rows: Sequence[Mapping[str, Any]], failed: Failures, positions: Sequence[int]
) -> Iterator[tuple[list[Mapping[str, Any]], list[int]]]:
    """The rows in requests, each with their numbers; those too large for any are failed."""
    part: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    size = 0
    for number, row in enumerate(rows):
        more = len(json.dumps(row)) + 100  # and what is around it
        if more > REQUEST_BYTES:
            msg = f"the row has {more:,} bytes as JSON, and BigQuery takes requests of 10 MB"
            failed[positions[number]] = ConversionError(msg)
            continue
        if part and (len(part) == REQUEST_ROWS or size + more > REQUEST_BYTES):
            yield part, numbers
            part, numbers, size = [], [], 0
        part.append(row)
        numbers.append(number)
        size += more
    if part:
        yield part, numbers


def _json_rows(rows: Any) -> list[dict[str, Any]]:
    names = rows.column_names
    columns = [[_plain(value) for value in column.to_pylist()] for column in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no such numbers
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, decimal.Decimal) else value
