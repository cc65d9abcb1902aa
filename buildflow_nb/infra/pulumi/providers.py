"""The explicit providers of a program: a flow's credentials, region and endpoints, and no others.

A provider is made once for each cloud, region and account (or project), when the first resource
asks for it. Credentials are Pulumi secrets, so state and logs hold them encrypted or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pulumi

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Env

__all__ = ("Providers",)

AWS_SERVICES = ("s3", "sqs", "sts")
# Types that the published provider of Snowflake serves only where they are named.
PREVIEWS = ("snowflake_pipe_resource", "snowflake_table_resource")


class Providers:
    """Makes and keeps the providers of one run of a program."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._made: dict[str, pulumi.ProviderResource] = {}

    def aws(self, region: str | None, account: str | None) -> pulumi.ProviderResource:
        """The AWS provider of a region, limited to an account if one is given."""
        place = region or self._env.aws_region
        name = "-".join(["aws", *(part for part in (place, account) if part)])
        if name not in self._made:
            self._made[name] = _aws(name, self._env, place, account)
        return self._made[name]

    def gcp(self, project: str | None) -> pulumi.ProviderResource:
        """The Google Cloud provider of a project."""
        place = project or self._env.gcp_project
        name = f"gcp-{place}" if place else "gcp"
        if name not in self._made:
            self._made[name] = _gcp(name, self._env, place)
        return self._made[name]

    def snowflake(self, login: Mapping[str, str | Secret]) -> pulumi.ProviderResource:
        """The Snowflake provider of a login; on the local cloud there is one, without any."""
        local = "snowflake" in self._env.endpoints
        who = () if local else (login.get("account_name"), login.get("user"))
        name = "-".join(["snowflake", *(part for part in who if isinstance(part, str))])
        if name not in self._made:
            self._made[name] = _snowflake(name, self._env, login)
        return self._made[name]


def _aws(name: str, env: Env, region: str | None, account: str | None) -> pulumi.ProviderResource:
    import pulumi_aws as aws

    endpoints = {s: env.endpoints[s] for s in AWS_SERVICES if s in env.endpoints}
    local = bool(endpoints)  # an endpoint of one's own knows no AWS accounts to ask about
    return aws.Provider(
        name,
        region=region,
        access_key=_hidden(env.aws.access_key_id),
        secret_key=_hidden(env.aws.secret_access_key),
        token=_hidden(env.aws.session_token),
        allowed_account_ids=[account] if account and not local else None,
        endpoints=[aws.ProviderEndpointArgs(**endpoints)] if local else None,
        s3_use_path_style=local or None,
        skip_credentials_validation=local or None,
        skip_metadata_api_check=local or None,
        skip_region_validation=local or None,
        skip_requesting_account_id=local or None,
    )


def _gcp(name: str, env: Env, project: str | None) -> pulumi.ProviderResource:
    import pulumi_gcp as gcp

    ends: Mapping[str, str] = env.endpoints
    return gcp.Provider(
        name,
        project=project,
        credentials=_hidden(env.gcp.service_account_info),
        big_query_custom_endpoint=_below(ends.get("bigquery"), "bigquery/v2/"),
        storage_custom_endpoint=_below(ends.get("storage"), "storage/v1/"),
        pubsub_custom_endpoint=_below(ends.get("pubsub"), "v1/"),
        sql_custom_endpoint=_below(_as_http(ends.get("postgres")), "sql/v1beta4/"),
    )


def _snowflake(name: str, env: Env, login: Mapping[str, str | Secret]) -> pulumi.ProviderResource:
    import pulumi_snowflake as snowflake

    endpoint = env.endpoints.get("snowflake")
    if endpoint is not None:
        return snowflake.Provider(name, host=urlsplit(endpoint).hostname)
    given = {word: _hidden(v) if isinstance(v, Secret) else v for word, v in login.items()}
    return snowflake.Provider(
        name,
        organization_name=given.get("organization_name"),
        account_name=given.get("account_name"),
        user=given.get("user"),
        authenticator=given.get("authenticator"),
        private_key=given.get("private_key"),
        password=given.get("password"),
        preview_features_enabled=PREVIEWS,
    )


def _as_http(endpoint: str | None) -> str | None:
    """The address of a store in the form that the provider's arguments have."""
    return f"http://{endpoint.partition('://')[2]}" if endpoint else None


def _below(endpoint: str | None, path: str) -> str | None:
    return f"{endpoint.rstrip('/')}/{path}" if endpoint else None


def _hidden(secret: Secret | None) -> pulumi.Output[str] | None:
    return pulumi.Output.secret(secret.reveal()) if secret is not None else None
