"""What a table of Snowflake stands on: its database, its schema, a stage for files on their way.

A table owns them, and tables of one schema own the same ones, so each is made once in a flow.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Managed, PrimitiveId, Site
from buildflow_nb.io.snowflake.client import Account
from buildflow_nb.io.snowflake.key_file import der_of

__all__ = ("SnowflakeDatabase", "SnowflakeSchema", "SnowflakeStage", "login_of")


@dataclass(frozen=True, slots=True)
class SnowflakeDatabase:
    """The database of a table."""

    cloud: ClassVar[str] = "agnostic"

    account: Account

    @property
    def primitive_id(self) -> PrimitiveId:
        """Its name."""
        return PrimitiveId(self.account.database)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Declare it.

        Raises:
            DeclarationError: on the real cloud it is not said whose it is.
        """
        import pulumi_snowflake as snowflake

        name = self.account.database
        opts = site.snowflake(login_of(self.account, site))
        return {"name": snowflake.Database(name, name=name, opts=opts).name}


@dataclass(frozen=True, slots=True)
class SnowflakeSchema:
    """The schema of a table."""

    cloud: ClassVar[str] = "agnostic"

    account: Account

    @property
    def primitive_id(self) -> PrimitiveId:
        """Its name, after the database's."""
        return PrimitiveId(f"{self.account.database}.{self.account.schema}")

    def parents(self) -> tuple[Managed, ...]:
        """The database."""
        return (SnowflakeDatabase(self.account),)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Declare it.

        Raises:
            DeclarationError: on the real cloud it is not said whose it is.
        """
        import pulumi_snowflake as snowflake

        account = self.account
        opts = site.snowflake(login_of(account, site))
        made = snowflake.Schema(
            self.primitive_id, database=account.database, name=account.schema, opts=opts
        )
        return {"name": made.name}


@dataclass(frozen=True, slots=True)
class SnowflakeStage:
    """An internal stage of a table's schema."""

    cloud: ClassVar[str] = "agnostic"

    account: Account
    name: str

    @property
    def primitive_id(self) -> PrimitiveId:
        """Its name, after the schema's."""
        return PrimitiveId(f"{self.account.database}.{self.account.schema}.{self.name}")

    def parents(self) -> tuple[Managed, ...]:
        """The schema."""
        return (SnowflakeSchema(self.account),)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Declare it.

        Raises:
            DeclarationError: on the real cloud it is not said whose it is.
        """
        import pulumi_snowflake as snowflake

        account = self.account
        made = snowflake.StageInternal(
            self.primitive_id,
            database=account.database,
            schema=account.schema,
            name=self.name,
            opts=site.snowflake(login_of(account, site)),
        )
        return {"name": made.name}


def login_of(account: Account, site: Site) -> Mapping[str, str | Secret]:
    """The arguments of a provider; none on the local cloud.

    Raises:
        DeclarationError: account, user or key are not said.
        PermanentError: the key is none.
    """
    if site.env.services is not None or "snowflake" in site.env.endpoints:
        return {}
    organization, _, name = (account.account or "").partition("-")
    if not name or not account.user or not (account.private_key or account.password):
        msg = (
            f"{account.said}: to manage it give it account='ORGANIZATION-ACCOUNT', user= and "
            "private_key=read_private_key_file(…)"
        )
        raise DeclarationError(msg)
    found: dict[str, str | Secret] = {
        "organization_name": organization,
        "account_name": name,
        "user": account.user,
    }
    if account.private_key is not None:
        body = base64.encodebytes(der_of(account.private_key, account.said)).decode()
        text = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
        return {**found, "authenticator": "SNOWFLAKE_JWT", "private_key": Secret(text)}
    assert account.password is not None  # noqa: S101  (looked at above)
    return {**found, "password": account.password}
