"""Jobs: each is over when it is answered, so that its state is always DONE.

A job that wrote is remembered in the transaction in which it did so: asked for again by its id
after a crash, it is there, and it is never carried out twice. Those that only read are forgotten
when the server stops, with their results.

Source: BigQuery REST reference, "jobs".
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.catalog import Catalog
from buildflow_nb.local_cloud.bigquery.cells import cell_rows
from buildflow_nb.local_cloud.bigquery.copies import copy
from buildflow_nb.local_cloud.bigquery.loads import Loaded, Loads
from buildflow_nb.local_cloud.bigquery.paging import Page
from buildflow_nb.local_cloud.bigquery.queries import Outcome, Queries
from buildflow_nb.local_cloud.bigquery.refusal import (
    RefusedError,
    duplicate,
    invalid,
    not_found,
    not_served,
)
from buildflow_nb.local_cloud.bigquery.results import Results
from buildflow_nb.local_cloud.bigquery.state import OWN, Database
from buildflow_nb.local_cloud.bigquery.types import Field

__all__ = ("Jobs", "rows_page")

LOCATION = "US"
KINDS = ("query", "load", "copy", "extract")
MOST = 10_000  # jobs in memory
KEPT_DAYS = 7
JOB_ID = re.compile(r"[\w-]{1,1024}")
Job = dict[str, Any]
Fetch = Callable[[Sequence[str]], list[Path]]


class Jobs:
    """The jobs of one server."""

    def __init__(self, database: Database, catalog: Catalog, results: Results) -> None:
        self._database = database
        self._catalog = catalog
        self._results = results
        self._queries = Queries(database, catalog, results)
        self._loads = Loads(database, catalog)
        self._jobs: OrderedDict[tuple[str, str], Job] = OrderedDict()
        self._outcomes: dict[tuple[str, str], Outcome] = {}
        self._lock = threading.Lock()
        with database.writing() as cursor:
            cursor.execute(
                f"DELETE FROM {OWN}.jobs WHERE made < now()::TIMESTAMP - INTERVAL {KEPT_DAYS} DAY"  # noqa: S608
            )
            found = cursor.execute(f"SELECT project, id, body FROM {OWN}.jobs ORDER BY made")  # noqa: S608
            for project, ident, text in found.fetchall():
                self._jobs[project, ident] = json.loads(text)

    def insert(
        self, project: str, given: Mapping[str, Any], files: Sequence[Path] | None, fetch: Fetch
    ) -> Job:
        """Carry a job out; what is wrong with it is its `errorResult`.

        `files` are those uploaded with it; `fetch` gets those of Cloud Storage.

        Raises:
            RefusedError: there is one of this id, or it is no job.
        """
        configuration = given.get("configuration")
        if not isinstance(configuration, Mapping):
            msg = "Required parameter is missing: configuration"
            raise invalid(msg)
        job = self._begun(project, given.get("jobReference") or {}, configuration)
        dry = bool(configuration.get("dryRun"))
        key = (project, job["jobReference"]["jobId"])
        try:
            if "query" in configuration:
                self._query(key, job, configuration, dry=dry)
            elif "load" in configuration:
                self._load(key, job, configuration["load"], files, fetch)
            elif "copy" in configuration:
                keep = partial(self._keep, key=key, job=job)
                copy(self._database, self._catalog, configuration["copy"], keep)
            else:
                self._refuse(configuration)
        except RefusedError as error:
            if dry:
                self._forget(key)
                raise
            job["status"] = {"state": "DONE", "errorResult": error.proto, "errors": [error.proto]}
        except BaseException:
            self._forget(key)
            raise
        if dry:
            self._forget(key)
        return job

    def get(self, project: str, ident: str) -> Job:
        """A job.

        Raises:
            RefusedError: there is none.
        """
        try:
            return self._jobs[project, ident]
        except KeyError:
            what = f"Job {project}:{LOCATION}.{ident}"
            raise not_found(what) from None

    def list(self, project: str) -> list[Job]:
        """The jobs of a project, the last one first."""
        with self._lock:
            found = [job for (owner, _), job in self._jobs.items() if owner == project]
        return found[::-1]

    def delete(self, project: str, ident: str) -> None:
        """Forget a job. Raises as `get`."""
        self.get(project, ident)
        self._forget((project, ident))
        with self._database.writing() as cursor:
            sql = f"DELETE FROM {OWN}.jobs WHERE project = ? AND id = ?"  # noqa: S608
            cursor.execute(sql, [project, ident])

    def results(self, project: str, ident: str, page: Page, *, whole: bool) -> dict[str, Any]:
        """A page of what a query gave.

        Raises:
            RefusedError: there is no such job, it failed, or its result is gone.
        """
        job = self.get(project, ident)
        if error := job["status"].get("errorResult"):
            status = {"notFound": 404, "notImplemented": 501, "duplicate": 409}
            raise RefusedError(status.get(error["reason"], 400), error["reason"], error["message"])
        answer: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobComplete": True,
            "jobReference": job["jobReference"],
            "totalBytesProcessed": "0",
            "cacheHit": False,
        }
        statistics = job["statistics"].get("query", {})
        if (affected := statistics.get("numDmlAffectedRows")) is not None:
            return {**answer, "numDmlAffectedRows": affected, "totalRows": "0", "schema": {}}
        outcome = self._outcomes.get((project, ident))
        if outcome is None or outcome.result is None:
            return {**answer, "totalRows": "0", "schema": {"fields": []}}
        table = self._results.read(outcome.result.table)
        if table is None:
            what = f"the result of job {ident}, which is too old; run the query again"
            raise not_found(what)
        return {**answer, **rows_page(table, outcome.fields, page, whole=whole)}

    def _begun(
        self, project: str, reference: Mapping[str, Any], configuration: Mapping[str, Any]
    ) -> Job:
        ident = str(reference.get("jobId") or f"job_{uuid.uuid4().hex}")
        if JOB_ID.fullmatch(ident) is None:
            msg = f'Invalid job ID "{ident}".'
            raise invalid(msg)
        now = str(int(time.time() * 1000))
        job = {
            "kind": "bigquery#job",
            "id": f"{project}:{LOCATION}.{ident}",
            "jobReference": {"projectId": project, "jobId": ident, "location": LOCATION},
            "configuration": {
                **configuration,
                "jobType": next((k.upper() for k in KINDS if k in configuration), "UNKNOWN"),
            },
            "status": {"state": "DONE"},
            "statistics": {"creationTime": now, "startTime": now, "endTime": now},
            "user_email": "local@buildflow",
        }
        with self._lock:
            if (project, ident) in self._jobs:
                what = f"Job {job['id']}"
                raise duplicate(what)
            self._jobs[project, ident] = job
            while len(self._jobs) > MOST:
                old, _ = self._jobs.popitem(last=False)
                self._outcomes.pop(old, None)
        return job

    @staticmethod
    def _refuse(configuration: Mapping[str, Any]) -> None:
        kind = "extract" if "extract" in configuration else "such"
        msg = f"{kind} jobs"
        raise not_served(msg)

    def _forget(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._jobs.pop(key, None)
            self._outcomes.pop(key, None)

    def _keep(self, cursor: duckdb.DuckDBPyConnection, key: tuple[str, str], job: Job) -> None:
        sql = f"INSERT INTO {OWN}.jobs (project, id, body) VALUES (?, ?, ?)"  # noqa: S608
        cursor.execute(sql, [*key, json.dumps(job)])

    def _query(
        self, key: tuple[str, str], job: Job, configuration: Mapping[str, Any], *, dry: bool
    ) -> None:
        given = {**configuration["query"], "jobTimeoutMs": configuration.get("jobTimeoutMs")}
        project = key[0]

        def keep(cursor: duckdb.DuckDBPyConnection, done: Outcome) -> None:
            _tell_query(job, done)
            self._keep(cursor, key, job)

        done = self._queries.run(project, given, keep, dry=dry)
        _tell_query(job, done)
        self._outcomes[key] = done

    def _load(
        self,
        key: tuple[str, str],
        job: Job,
        configuration: Mapping[str, Any],
        files: Sequence[Path] | None,
        fetch: Fetch,
    ) -> None:
        def keep(cursor: duckdb.DuckDBPyConnection, done: Loaded) -> None:
            job["statistics"]["load"] = {
                "inputFiles": str(done.files),
                "inputFileBytes": str(done.read_bytes),
                "outputRows": str(done.rows),
                "outputBytes": str(done.read_bytes),
                "badRecords": str(done.bad),
            }
            self._keep(cursor, key, job)

        fetched = [] if files is not None else fetch(configuration.get("sourceUris") or ())
        try:
            self._loads.run(configuration, files if files is not None else fetched, keep)
        finally:
            for file in fetched:
                file.unlink(missing_ok=True)


def _tell_query(job: Job, done: Outcome) -> None:
    """Put into a job what its query did."""
    said: dict[str, Any] = {
        "statementType": done.statement,
        "totalBytesProcessed": "0",
        "totalBytesBilled": "0",
        "cacheHit": False,
    }
    if done.fields:
        said["schema"] = {"fields": [each.rest for each in done.fields]}
    if done.affected is not None:
        said["numDmlAffectedRows"] = str(done.affected)
    into = done.into or done.result
    if into is not None:
        query = {**job["configuration"]["query"], "destinationTable": into.rest}
        job["configuration"] = {**job["configuration"], "query": query}
    now = {"totalBytesProcessed": "0", "endTime": str(int(time.time() * 1000))}
    job["statistics"] = {**job["statistics"], **now, "query": said}


def rows_page(
    table: pa.Table, fields: Sequence[Field], page: Page, *, whole: bool
) -> dict[str, Any]:
    """A page of a table's rows, with its schema."""
    part = table.slice(page.start, page.size)
    behind = page.start + part.num_rows
    answer: dict[str, Any] = {
        "schema": {"fields": [each.rest for each in fields]},
        "totalRows": str(table.num_rows),
    }
    if page.size:
        answer["rows"] = cell_rows(part, fields, whole=whole)
        if behind < table.num_rows:
            answer["pageToken"] = str(behind)
    return answer
