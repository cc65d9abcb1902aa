"""Tables of the stack's cloud: for analysis, and relational."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.portable import Role
from buildflow_nb.core.primitive import Env, PrimitiveId
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.portable.provider import nothing_there, provider_of

__all__ = ("AnalysisTable", "RelationalTable")

DATASET = "buildflow_managed"  # in it are the tables that nobody gave a place
HASH_LENGTH = 8


@dataclass(frozen=True)
class AnalysisTable(Injectable):
    """A table to analyse: a `BigQueryTable` on gcp, a `DuckDBTable` on local.

    On gcp it is in the dataset `buildflow_managed` of the stack's project, which comes along; here
    in the file `buildflow_managed.duckdb` of the flow's folder. Without a name it is the project's
    own, `table_…`. To be managed on gcp it needs a `schema`, the type of its rows.

    Raises:
        DeclarationError: the name is no text.
    """

    cloud: ClassVar[str] = "agnostic"

    table_name: str | None = None
    schema: type | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_texts(self, (), ("table_name",))

    def options(self, schema: type | None = None) -> Self:
        """This table with the type of its rows."""
        return replace(self, schema=schema)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The table's name."""
        return PrimitiveId(self.table_name or "table")

    def placed(self, env: Env, role: Role) -> tuple[object, ...]:
        """The table that it is on this stack.

        Raises:
            DeclarationError: nobody said which cloud, or it has no such table or name.
        """
        owner = f"AnalysisTable {self.primitive_id!r}"
        provider = provider_of(owner, env)
        if provider == "local":
            from buildflow_nb.io.duckdb import DuckDBTable

            return (DuckDBTable(env.folder / f"{DATASET}.duckdb", self._name(env)),)
        if provider == "gcp":
            from buildflow_nb.io.gcp import BigQueryDataset, BigQueryTable

            dataset = BigQueryDataset(env.gcp_project, DATASET)
            table = BigQueryTable(dataset, self._name(env), schema=self.schema)
            return (dataset, table) if role == "managed" else (table,)
        raise nothing_there(owner, env, "take a RelationalTable, or a stack on gcp or local")

    def _name(self, env: Env) -> str:
        if self.table_name is not None:
            return self.table_name
        project = env.gcp_project or str(env.folder)
        return f"table_{hashlib.sha256(project.encode()).hexdigest()[:HASH_LENGTH]}"


@dataclass(frozen=True)
class RelationalTable(Injectable):
    """A table of Postgres: on a local stack in the local cloud's, elsewhere at `url`.

    The other fields are those of `io.postgres.PostgresTable`.

    Raises:
        DeclarationError: a field is no text.
    """

    cloud: ClassVar[str] = "agnostic"

    table_name: str | None = None
    url: str | Secret | None = field(default=None, kw_only=True, repr=False)
    key: str | Sequence[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_texts(self, (), ("table_name",))
        if isinstance(self.url, str):
            object.__setattr__(self, "url", Secret(self.url))

    @property
    def primitive_id(self) -> PrimitiveId:
        """The table's name."""
        return PrimitiveId(self.table_name or "table")

    def placed(self, env: Env, role: Role) -> tuple[Any, ...]:
        """The table that it is on this stack.

        Raises:
            DeclarationError: Postgres has no such names.
        """
        del role
        from buildflow_nb.io.postgres import PostgresTable

        url = None if env.cloud == "local" else self.url
        return (PostgresTable(self.table_name or "table", url, key=self.key),)
