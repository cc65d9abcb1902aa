"""A BigQuery table: a sink of rows, and a bounded source of them.

`method` says how rows are written: "storage_write" (within milliseconds, 0.025 dollars a GB),
"load" (within seconds, for nothing, 1,500 pushes a day), "insert_all" (the old way, twice as dear).
The table has to be there: `%buildflow apply` makes it from the type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import BuildFlowError, DeclarationError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Managed, PrimitiveId, Sink, Site, Source, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.columns.element_columns import ElementColumns, columns_of
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.bigquery.access import demand_installed
from buildflow_nb.io.gcp.bigquery.dataset import BigQueryDataset
from buildflow_nb.io.gcp.bigquery.existing import Existing
from buildflow_nb.io.gcp.bigquery.look import table_found
from buildflow_nb.io.gcp.bigquery.names import TableName, check_table
from buildflow_nb.io.gcp.bigquery.rest_sinks import InsertAllSink, LoadSink
from buildflow_nb.io.gcp.bigquery.schema import check_columns, schema_json
from buildflow_nb.io.gcp.bigquery.sink import StorageWriteOnceSink, StorageWriteSink
from buildflow_nb.io.gcp.bigquery.source import Reading, RowSource
from buildflow_nb.io.gcp.clients import console_url, default_project, own_name, resolved_project
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.looks import seen
from buildflow_nb.io.table_look import look_into_table, table_rows

__all__ = ("BigQueryTable",)

METHODS = ("storage_write", "load", "insert_all")
BATCH = 10_000  # BuildFlow's; 5 MB where a row has 500 bytes
LOAD_LINGER_S = 60.0  # 1,440 load jobs a day


@dataclass(frozen=True, slots=True)
class BigQueryTable(Injectable):
    """The table `table_name` of a dataset.

    `schema` is the type of its rows, from which its columns are made; `partition` names the column
    of a time by whose days it is divided, `cluster` those by which it is sorted. With
    `include_dataset` the dataset is managed along with it. `destroy_protection` keeps it from being
    destroyed. A push has at most `batch_size` elements.

    Raises:
        DeclarationError: a field is wrong, BigQuery has no such columns, or Google's clients are
            not installed.
    """

    cloud: ClassVar[str] = "gcp"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor
    local_store: ClassVar[str] = "bigquery"
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column

    dataset: BigQueryDataset
    table_name: str
    batch_size: int = field(default=BATCH, kw_only=True)
    destroy_protection: bool = field(default=False, kw_only=True)
    schema: type | None = field(default=None, kw_only=True)
    method: str = field(default=METHODS[0], kw_only=True)
    include_dataset: bool = field(default=False, kw_only=True)
    partition: str | None = field(default=None, kw_only=True)
    cluster: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        demand_installed("BigQueryTable")
        if not isinstance(self.dataset, BigQueryDataset):
            msg = f"BigQueryTable: dataset must be a BigQueryDataset, got {self.dataset!r}"
            raise DeclarationError(msg)
        check_texts(self, ("table_name",), ("partition",))
        check_table("BigQueryTable", self.table_name)
        if self.method not in METHODS:
            msg = f"{self._owner}: method must be one of {', '.join(METHODS)}, got {self.method!r}"
            raise DeclarationError(msg)
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            msg = f"{self._owner}: batch_size must be at least 1, got {self.batch_size!r}"
            raise DeclarationError(msg)
        cluster = (self.cluster,) if isinstance(self.cluster, str) else tuple(self.cluster)
        object.__setattr__(self, "cluster", cluster)
        self._check_columns()

    @property
    def stores_once(self) -> bool:
        """Whether a push that is repeated under its id is stored once."""
        return self.method != "insert_all"

    @classmethod
    def from_gcp_options(cls, gcp_options: object, *, table_name: str | None = None) -> Self:
        """The table in the dataset `buildflow_managed` of the project that options name.

        Without a name it is one of the project's own, `table_…`.

        Raises:
            DeclarationError: there is no name, and the options name no project to make one of.
        """
        project = default_project(gcp_options)
        name = table_name or own_name("BigQueryTable", "table", project)
        dataset = BigQueryDataset(project, "buildflow_managed")
        return cls(dataset, name, include_dataset=True)

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The table with this full name, `projects/…/datasets/…/tables/…`.

        Raises:
            DeclarationError: BigQuery has no such names.
            ValueError: it is no such name.
        """
        _, project, _, dataset, _, table = resource_id.split("/")
        return cls(BigQueryDataset(project, dataset), table)

    def options(
        self,
        destroy_protection: bool = False,
        schema: type | None = None,
        batch_size: int = BATCH,
    ) -> Self:
        """This table with other options; a `schema` that is not given stays.

        Raises:
            DeclarationError: as the table itself.
        """
        return replace(
            self,
            destroy_protection=destroy_protection,
            schema=schema or self.schema,
            batch_size=batch_size,
        )

    @property
    def table_id(self) -> str:
        """The full name, `project.dataset.table`.

        Raises:
            DeclarationError: the dataset names no project.
        """
        return str(self.name_in(Env()))

    def name_in(self, env: Env) -> TableName:
        """The full name in a stack.

        Raises:
            DeclarationError: neither the dataset nor the stack names a project.
        """
        project = resolved_project(self.dataset.project_id, env, self._owner)
        return TableName(project, self.dataset.dataset_name, self.table_name)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The dataset's id and the name."""
        return PrimitiveId(f"{self.dataset.primitive_id}.{self.table_name}")

    @property
    def label(self) -> str:
        """The dataset's name and the table's."""
        return f"{self.dataset.dataset_name}.{self.table_name}"

    @property
    def max_push(self) -> int:
        """Elements in one push, at most."""
        return self.batch_size

    @property
    def linger_s(self) -> float:
        """Seconds to wait for a fuller push: none but for load jobs, of which a day has few."""
        return LOAD_LINGER_S if self.method == "load" else 0.0

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink that appends rows."""
        kind = element if element is not None else self.schema
        name = self.name_in(env)
        if self.method == "load":
            return LoadSink(env, name, kind)
        if self.method == "insert_all":
            return InsertAllSink(env, name, kind)
        if env.positions is not None:
            return StorageWriteOnceSink(env, name, kind)
        return StorageWriteSink(env, name, kind)

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source over the rows of this moment."""
        name = self.name_in(env)
        return RowSource(env, Reading(name.project, name))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the table is there."""

        async def look() -> str:
            there = await on_thread(lambda: self._existing(env))
            count = len(there.fields or ())
            return f"is there, with {count} column{'s' if count != 1 else ''}"

        return await looked(self, look, load=_load)

    async def columns(self, env: Env) -> Columns | None:
        """The columns of the table, if it is there."""
        try:
            there = await on_thread(lambda: self._existing(env))
        except BuildFlowError:
            return None
        names = tuple(str(one["name"]) for one in there.fields or ())
        return Columns(names) if names else None

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """The columns of the table, how many rows it has, and the first; no query is made."""

        async def look(empty: ResourceLook) -> ResourceLook:
            name = self.name_in(env)
            target = Target("table", str(name), env.stack_said)
            found = await on_thread(lambda: table_found(env, name, target, table_rows(asked)))
            return look_into_table(replace(empty, place=str(name)), asked, found)

        return await seen(self, "BigQuery table", look, load=_load, within_s=asked.within_s)

    def cloud_console_url(self) -> str:
        """Where the table is in Google's console."""
        return (
            f"{console_url('bigquery', None)}?p={self.dataset.project_id}"
            f"&d={self.dataset.dataset_name}&t={self.table_name}&page=table"
        )

    def lacks(self) -> str:
        """What its cloud resource needs."""
        if self.schema is None:
            return "a table is made from the type of its rows; give .options(schema=YourType)"
        return ""

    def owned(self) -> tuple[Managed, ...]:
        """The dataset, where it is managed along with the table."""
        return (self.dataset,) if self.include_dataset else ()

    def parents(self) -> tuple[Managed, ...]:
        """The dataset."""
        return (self.dataset,)

    def billed(self) -> Billed:
        """What is written, by the method, and what lies there."""
        return Billed("gcp:bigquery/table:Table", {"method": self.method})

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The table; gives `table_id`."""
        from pulumi_gcp import bigquery

        made = site.made(self.dataset)
        project = self.dataset.project_id
        days = bigquery.TableTimePartitioningArgs(type="DAY", field=self.partition)
        table = bigquery.Table(
            self.primitive_id,
            dataset_id=made["dataset_id"] if made else self.dataset.dataset_name,
            table_id=self.table_name,
            project=project,
            schema=schema_json(cast("ElementColumns", self._declared()).columns),
            deletion_protection=self.destroy_protection,
            time_partitioning=days if self.partition else None,
            clusterings=list(self.cluster) or None,
            opts=site.gcp(project),
        )
        return {"table_id": table.table_id}

    @property
    def _owner(self) -> str:
        return f"BigQueryTable {self.table_name!r}"

    def _declared(self) -> ElementColumns | None:
        return columns_of(self.schema)

    def _check_columns(self) -> None:
        if self.schema is None:
            return
        declared = self._declared()
        if declared is None:
            msg = f"{self._owner}: schema must say its columns, as a dataclass; got {self.schema!r}"
            raise DeclarationError(msg)
        check_columns(self._owner, declared.columns)
        known = {column.name: column.kind.word for column in declared.columns}
        for name in (*filter(None, (self.partition,)), *self.cluster):
            if name not in known:
                msg = f"{self._owner}: {name!r} is no column; there are {', '.join(known)}"
                raise DeclarationError(msg)
        if self.partition and known[self.partition] not in ("date", "timestamp", "timestamptz"):
            msg = f"{self._owner}: partition {self.partition!r} must be a date or a datetime"
            raise DeclarationError(msg)

    def _existing(self, env: Env) -> Existing:
        name = self.name_in(env)
        return Existing.of(env, name, Target("table", str(name), env.stack_said))


async def _load() -> None:
    def load() -> None:
        from google.cloud import bigquery

        del bigquery

    await on_thread(load)
