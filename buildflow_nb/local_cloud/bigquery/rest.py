"""The REST API: requests to the parts that answer them, and refusals to Google's error bodies.

Every request carries the password as its bearer token, so that no page in a browser gets an answer.
What blocks runs on threads of its own.

Source: BigQuery REST reference, v2.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import duckdb
from aiohttp import web

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.bigquery.catalog import Table
from buildflow_nb.local_cloud.bigquery.jobs import rows_page
from buildflow_nb.local_cloud.bigquery.paging import Page, listed
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import (
    RefusedError,
    invalid,
    not_found,
    not_served,
    of_engine,
)
from buildflow_nb.local_cloud.bigquery.results import RESULTS
from buildflow_nb.local_cloud.bigquery.rows import insert_all
from buildflow_nb.local_cloud.bigquery.service import Service
from buildflow_nb.local_cloud.bigquery.types import arrow_schema
from buildflow_nb.local_cloud.bigquery.upload import Upload

__all__ = ("Rest",)

MOST_BYTES = 10 << 20  # of a request's body: "Quotas and limits"
THREADS = 16
V2 = "/bigquery/v2/projects"

logger = logging.getLogger(__name__)
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """The REST API of one server."""

    def __init__(self, service: Service, password: Secret) -> None:
        self._service = service
        self._token = password
        self._threads = ThreadPoolExecutor(THREADS, "bigquery rest")

    def application(self) -> web.Application:
        """It as an application."""
        app = web.Application(
            middlewares=[self._refusing, self._admitting], client_max_size=MOST_BYTES
        )
        projects = f"{V2}/{{project}}"
        datasets = f"{projects}/datasets"
        dataset, tables = f"{datasets}/{{dataset}}", f"{datasets}/{{dataset}}/tables"
        table = f"{tables}/{{table}}"
        uploads = f"/upload{projects}/jobs"
        for method, path, handler in (
            ("GET", datasets, self._list_datasets),
            ("POST", datasets, self._create_dataset),
            ("GET", dataset, self._get_dataset),
            ("PATCH", dataset, self._update_dataset),
            ("PUT", dataset, self._update_dataset),
            ("DELETE", dataset, self._delete_dataset),
            ("GET", tables, self._list_tables),
            ("POST", tables, self._create_table),
            ("GET", table, self._get_table),
            ("PATCH", table, self._update_table),
            ("PUT", table, self._update_table),
            ("DELETE", table, self._delete_table),
            ("POST", f"{table}/insertAll", self._insert_all),
            ("GET", f"{table}/data", self._list_rows),
            ("GET", f"{projects}/jobs", self._list_jobs),
            ("POST", f"{projects}/jobs", self._insert_job),
            ("GET", f"{projects}/jobs/{{job}}", self._get_job),
            ("POST", f"{projects}/jobs/{{job}}/cancel", self._cancel_job),
            ("DELETE", f"{projects}/jobs/{{job}}/delete", self._delete_job),
            ("POST", f"{projects}/queries", self._query),
            ("GET", f"{projects}/queries/{{job}}", self._results),
            ("POST", uploads, self._upload),
            ("PUT", uploads, self._upload_piece),
            ("POST", f"/resumable{uploads}", self._upload),
            ("PUT", f"/resumable{uploads}", self._upload_piece),
        ):
            app.router.add_route(method, path, handler)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    def close(self) -> None:
        """Take no more work."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _answer(self, work: Callable[[], Mapping[str, Any] | None]) -> web.Response:
        found = await self._do(lambda: json.dumps(work()))
        return web.Response(text=found, content_type="application/json")

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as error:
            return web.json_response(error.body, status=error.status)
        except web.HTTPRequestEntityTooLarge:
            said = f"Request payload size exceeds the limit: {MOST_BYTES} bytes."
            refused = RefusedError(413, "uploadTooLarge", said)
            return web.json_response(refused.body, status=413)
        except web.HTTPException as error:
            refused = RefusedError(error.status, "invalid", error.reason)
            return web.json_response(refused.body, status=error.status)
        except (duckdb.ConstraintException, duckdb.ConversionException) as error:
            return web.json_response(of_engine(error).body, status=400)
        except Exception as error:
            if request.transport is None or request.transport.is_closing():
                raise  # the client went away
            logger.exception("%s %s", request.method, request.path)
            said = f"the local BigQuery cannot do this: {error}"
            # No reason for which Google's clients try again for ten minutes.
            return web.json_response(RefusedError(500, "stopped", said).body, status=500)

    @web.middleware
    async def _admitting(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        wanted = f"Bearer {self._token.reveal()}"
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            msg = "Request had invalid authentication credentials: the local BigQuery's password"
            raise RefusedError(401, "authError", msg)
        return await handler(request)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        msg = f"{request.method} {request.path}"
        raise not_served(msg)

    # Datasets

    async def _list_datasets(self, request: web.Request) -> web.Response:
        found = self._service.catalog.datasets(request.match_info["project"])
        page = Page.of(request.query)
        kinds = ("kind", "id", "datasetReference", "labels", "location")
        return await self._answer(
            lambda: listed(
                "bigquery#datasetList",
                "datasets",
                found,
                page,
                lambda body: {key: body[key] for key in kinds if key in body},
            )
        )

    async def _create_dataset(self, request: web.Request) -> web.Response:
        body = await _json(request)
        project = request.match_info["project"]
        return await self._answer(lambda: self._service.catalog.create_dataset(project, body))

    async def _get_dataset(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["dataset"]
        return await self._answer(lambda: self._service.catalog.dataset(*key))

    async def _update_dataset(self, request: web.Request) -> web.Response:
        body, match = await _json(request), request.headers.get("If-Match")
        key = request.match_info["project"], request.match_info["dataset"]
        whole = request.method == "PUT"
        update = self._service.catalog.update_dataset
        return await self._answer(lambda: update(*key, body, match, whole=whole))

    async def _delete_dataset(self, request: web.Request) -> web.Response:
        contents = request.query.get("deleteContents", "").lower() == "true"
        key = request.match_info["project"], request.match_info["dataset"]
        delete = self._service.catalog.delete_dataset
        await self._do(lambda: delete(*key, contents=contents))
        return web.Response(status=204)

    # Tables

    async def _list_tables(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["dataset"]
        page = Page.of(request.query)
        kinds = (
            *("kind", "id", "tableReference", "type", "labels", "creationTime"),
            *("timePartitioning", "clustering"),
        )
        return await self._answer(
            lambda: listed(
                "bigquery#tableList",
                "tables",
                self._service.catalog.tables(*key),
                page,
                lambda table: {key: table.body[key] for key in kinds if key in table.body},
            )
        )

    async def _create_table(self, request: web.Request) -> web.Response:
        body = await _json(request)
        named = (body.get("tableReference") or {}).get("tableId")
        ref = TableRef(request.match_info["project"], request.match_info["dataset"], str(named))
        return await self._answer(
            lambda: self._shown(self._service.catalog.create_table(ref, body))
        )

    async def _get_table(self, request: web.Request) -> web.Response:
        ref = _ref(request)
        return await self._answer(lambda: self._table(ref))

    async def _update_table(self, request: web.Request) -> web.Response:
        body, match = await _json(request), request.headers.get("If-Match")
        ref, whole = _ref(request), request.method == "PUT"
        update = self._service.catalog.update_table
        return await self._answer(lambda: self._shown(update(ref, body, match, whole=whole)))

    async def _delete_table(self, request: web.Request) -> web.Response:
        ref = _ref(request)
        await self._do(lambda: self._service.catalog.delete_table(ref))
        return web.Response(status=204)

    async def _insert_all(self, request: web.Request) -> web.Response:
        body, ref, service = await _json(request), _ref(request), self._service
        return await self._answer(
            lambda: insert_all(service.database, service.catalog, service.insert_ids, ref, body)
        )

    async def _list_rows(self, request: web.Request) -> web.Response:
        ref, page, whole = _ref(request), Page.of(request.query), _whole(request.query)
        chosen = [name for name in request.query.get("selectedFields", "").split(",") if name]
        return await self._answer(lambda: self._rows(ref, page, chosen, whole=whole))

    def _table(self, ref: TableRef) -> dict[str, Any]:
        if ref.dataset != RESULTS:
            return self._shown(self._service.catalog.table(ref))
        found = self._service.results.read(ref.table)
        if found is None:
            raise not_found(str(ref))
        rest = {"kind": "bigquery#table", "type": "TABLE", "tableReference": ref.rest}
        schema = {"fields": [each.rest for each in self._service.result_fields(found.schema)]}
        return {**rest, "id": ref.table, "schema": schema, "numRows": str(found.num_rows)}

    def _shown(self, table: Table) -> dict[str, Any]:
        return {**table.body, "numRows": str(self._service.count(table)), "numBytes": "0"}

    def _rows(self, ref: TableRef, page: Page, chosen: list[str], *, whole: bool) -> dict[str, Any]:
        answer = {"kind": "bigquery#tableDataList"}
        if ref.dataset == RESULTS:
            found = self._service.results.read(ref.table)
            if found is None:
                raise not_found(str(ref))
            fields = self._service.result_fields(found.schema)
            return {**answer, **rows_page(found, fields, page, whole=whole)}
        table = self._service.catalog.table(ref)
        fields = self._service.chosen(table, chosen)
        if not fields:
            return {**answer, "totalRows": "0"}
        count, part = self._service.page(table, fields, page)
        part = part.cast(arrow_schema(fields))
        made = rows_page(part, fields, Page(0, page.size), whole=whole)
        made.pop("schema")
        behind = page.start + part.num_rows
        if page.size and behind < count:
            made["pageToken"] = str(behind)
        return {**answer, **made, "totalRows": str(count)}

    # Jobs

    async def _list_jobs(self, request: web.Request) -> web.Response:
        project, page = request.match_info["project"], Page.of(request.query)
        found = self._service.jobs.list(project)
        return await self._answer(
            lambda: listed("bigquery#jobList", "jobs", found, page, lambda job: job)
        )

    async def _insert_job(self, request: web.Request) -> web.Response:
        body, project = await _json(request), request.match_info["project"]
        service = self._service
        fetch = service.cloud_files.fetch
        return await self._answer(lambda: service.jobs.insert(project, body, None, fetch))

    async def _get_job(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["job"]
        return await self._answer(lambda: self._service.jobs.get(*key))

    async def _cancel_job(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["job"]
        kind = {"kind": "bigquery#jobCancelResponse"}
        return await self._answer(lambda: {**kind, "job": self._service.jobs.get(*key)})

    async def _delete_job(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["job"]
        await self._do(lambda: self._service.jobs.delete(*key))
        return web.Response(status=204)

    async def _query(self, request: web.Request) -> web.Response:
        body, project = await _json(request), request.match_info["project"]
        page = Page.of({"maxResults": body.get("maxResults")})
        whole = _whole({"formatOptions.useInt64Timestamp": _said_whole(body)})
        return await self._answer(lambda: self._queried(project, body, page, whole=whole))

    def _queried(
        self, project: str, body: Mapping[str, Any], page: Page, *, whole: bool
    ) -> dict[str, Any]:
        dry = bool(body.get("dryRun"))
        given = {"configuration": {"query": body, "dryRun": dry}}
        job = self._service.jobs.insert(project, given, None, self._service.cloud_files.fetch)
        kind = {"kind": "bigquery#queryResponse"}
        if dry:
            said = job["statistics"]["query"]
            empty = {"jobComplete": True, "totalBytesProcessed": "0", "schema": said.get("schema")}
            return {**kind, **empty, "jobReference": {"projectId": project, "location": "US"}}
        ident = job["jobReference"]["jobId"]
        return {**self._service.jobs.results(project, ident, page, whole=whole), **kind}

    async def _results(self, request: web.Request) -> web.Response:
        key = request.match_info["project"], request.match_info["job"]
        page, whole = Page.of(request.query), _whole(request.query)
        return await self._answer(lambda: self._service.jobs.results(*key, page, whole=whole))

    # Uploads

    async def _upload(self, request: web.Request) -> web.Response:
        if request.query.get("uploadType") == "resumable":
            return await self._service.uploads.begin(request)
        return await self._uploaded(request, await self._service.uploads.multipart(request))

    async def _upload_piece(self, request: web.Request) -> web.Response:
        ident = request.query.get("upload_id", "")
        found = await self._service.uploads.go_on(request, ident)
        if isinstance(found, web.Response):
            return found
        return await self._uploaded(request, found)

    async def _uploaded(self, request: web.Request, upload: Upload) -> web.Response:
        project, service = request.match_info["project"], self._service
        fetch, files = service.cloud_files.fetch, [upload.file]
        try:
            return await self._answer(
                lambda: service.jobs.insert(project, upload.job, files, fetch)
            )
        finally:
            upload.file.unlink(missing_ok=True)


def _ref(request: web.Request) -> TableRef:
    where = request.match_info
    return TableRef(where["project"], where["dataset"], where["table"])


async def _json(request: web.Request) -> dict[str, Any]:
    data = await request.read()
    try:
        found = json.loads(data) if data else {}
    except ValueError as error:
        msg = f"Parse Error: {error}"
        raise invalid(msg) from error
    if not isinstance(found, dict):
        msg = "the request's body is no JSON object"
        raise invalid(msg)
    return found


def _whole(query: Mapping[str, Any]) -> bool:
    said = query.get("formatOptions.useInt64Timestamp")
    if query.get("formatOptions.timestampOutputFormat", "") == "INT64":
        return True
    return str(said).lower() == "true"


def _said_whole(body: Mapping[str, Any]) -> bool:
    options = body.get("formatOptions") or {}
    whole = bool(options.get("useInt64Timestamp"))
    return whole or options.get("timestampOutputFormat") == "INT64"
