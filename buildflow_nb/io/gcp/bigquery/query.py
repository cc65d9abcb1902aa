"""What a query of BigQuery gives, as a bounded source of records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import PrimitiveId, Source, Wire
from buildflow_nb.io.checks import CHECK_S, looked, on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.bigquery.access import access, demand_installed, rest_client
from buildflow_nb.io.gcp.bigquery.source import QUERY_ROLE, Reading, RowSource
from buildflow_nb.io.gcp.clients import resolved_project

__all__ = ("BigQueryQuery",)


@dataclass(frozen=True, slots=True)
class BigQueryQuery(Injectable):
    """What `query`, one SELECT of GoogleSQL, gives when the source is opened.

    It is carried out, and paid for, in the project `project_id`, or the stack's where that is None.
    `location` is that of its datasets, where BigQuery cannot tell.

    Raises:
        DeclarationError: there is no query, or Google's clients are not installed.
    """

    cloud: ClassVar[str] = "gcp"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor
    local_store: ClassVar[str] = "bigquery"

    query: str
    project_id: str | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        demand_installed("BigQueryQuery")
        check_texts(self, ("query",), ("project_id", "location"))
        if not self.query.strip():
            msg = f"BigQueryQuery: query must be SQL, got {self.query!r}"
            raise DeclarationError(msg)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The project, where one is given, and a short name of the query."""
        digest = hashlib.blake2s(self.query.encode(), digest_size=4).hexdigest()
        return PrimitiveId(".".join(filter(None, (self.project_id, f"query-{digest}"))))

    @property
    def label(self) -> str:
        """The beginning of the query."""
        text = " ".join(self.query.split())
        return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004  (a line of a table)

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; this carries the query out."""
        return RowSource(env, self._reading(env))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the query can be carried out; nothing is, and it costs nothing."""

        async def look() -> str:
            await on_thread(lambda: self._dry_run(env))
            return "can be carried out"

        return await looked(self, look, load=_load)

    def _reading(self, env: Env) -> Reading:
        project = resolved_project(self.project_id, env, "BigQueryQuery")
        return Reading(project, query=self.query, location=self.location)

    def _dry_run(self, env: Env) -> None:
        from google.cloud.bigquery import QueryJobConfig

        reading = self._reading(env)
        with (
            reading.target(env).faults(QUERY_ROLE),
            closing(rest_client(access(env), reading.project, reading.location)) as rest,
        ):
            dry = QueryJobConfig(dry_run=True)
            rest.query(self.query, job_config=dry, retry=None, job_retry=None, timeout=CHECK_S)


async def _load() -> None:
    def load() -> None:
        from google.cloud import bigquery

        del bigquery

    await on_thread(load)
