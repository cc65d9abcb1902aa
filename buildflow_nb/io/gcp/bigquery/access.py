"""Where BigQuery is, and as whom it is spoken to: over REST, and over gRPC for rows.

On the local cloud its server is started when it is first asked for, and knows a password. Both
clients are made anew where the address may have changed, since they are cheap beside a call.

Source: "google.cloud.bigquery.storage.v1" (RPC reference); AIP-4222, "Client-side routing".
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeclarationError, InfraError, TemporaryError
from buildflow_nb.io.gcp.clients import credentials

__all__ = (
    "CALL_S",
    "Access",
    "Pb",
    "access",
    "demand_installed",
    "is_cancelled",
    "message",
    "rest_client",
)

STORAGE = "bigquerystorage.googleapis.com:443"
CALL_S = 60.0  # for 10 MB through a slow line
CLOSE_S = 0.5  # for calls under way when a channel closes
CHANNEL = (
    ("grpc.max_receive_message_length", -1),  # a batch of rows may be larger than gRPC's 4 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),  # a connection that is cut in silence is found out
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),  # the pipeline backs off by itself, and says so
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
Pb = Any  # a protobuf message or its class, which are made at run time


def demand_installed(owner: str) -> None:
    """Look whether Google's client libraries are here, without loading them.

    Raises:
        DeclarationError: they are not.
    """
    for module in ("google.cloud.bigquery", "google.cloud.bigquery_storage_v1"):
        if importlib.util.find_spec(module) is None:
            msg = f"{owner} needs Google's clients: pip install 'buildflow_nb[bigquery]'"
            raise DeclarationError(msg)


@dataclass(frozen=True, slots=True)
class Access:
    """The addresses, and either a password of the local cloud or credentials of `google.auth`."""

    rest: str | None
    storage: str
    password: Secret | None = None
    credentials: Any = None

    def channel(self) -> Any:
        """A new channel to Storage Write and Read."""
        import grpc

        if self.credentials is None:
            return grpc.aio.insecure_channel(self.storage, options=CHANNEL)
        from google.auth.transport.grpc import AuthMetadataPlugin
        from google.auth.transport.requests import Request

        plugin = AuthMetadataPlugin(self.credentials, Request())  # type: ignore[no-untyped-call]
        both = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin)
        )
        return grpc.aio.secure_channel(self.storage, both, options=CHANNEL)

    def metadata(self, **routing: str) -> tuple[tuple[str, str], ...]:
        """What goes with a call: where it is routed to, and the password."""
        where = "&".join(f"{name}={quote(value, safe='')}" for name, value in routing.items())
        made = [("x-goog-request-params", where)]
        if self.password is not None:
            made.append(("authorization", f"Bearer {self.password.reveal()}"))
        return tuple(made)


def access(env: Env) -> Access:
    """The stack's way to BigQuery; blocks where a server has to start, or credentials be found.

    Raises:
        TemporaryError: the local cloud's server does not start.
        PermanentError: the service account's JSON is none.
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    if env.services is None:
        return Access(None, STORAGE, None, credentials(env))
    try:
        rest = env.services.wake("bigquery")
        storage = env.services.wake("bigquery-storage").partition("://")[2].rstrip("/")
        return Access(rest, storage, env.services.password("bigquery"))
    except InfraError as error:
        raise TemporaryError(str(error)) from error


def rest_client(found: Access, project: str, location: str | None = None) -> Any:
    """The client library's own client; close it. Blocks while the library is loaded."""
    from google.cloud import bigquery

    if found.rest is None or found.password is None:
        return bigquery.Client(project, found.credentials, location=location)
    from google.oauth2.credentials import Credentials

    token = Credentials(token=found.password.reveal())  # type: ignore[no-untyped-call]
    options = {"api_endpoint": found.rest}
    return bigquery.Client(project, token, client_options=options, location=location)


def is_cancelled() -> bool:
    """Whether it is the caller that is cancelled, and not a call whose channel was closed."""
    caller = asyncio.current_task()
    return caller is None or bool(caller.cancelling())


@cache
def _messages() -> Mapping[str, Pb]:
    from google.cloud.bigquery_storage_v1 import types

    names = (
        *("AppendRowsRequest", "AppendRowsResponse", "CreateWriteStreamRequest", "WriteStream"),
        *("CreateReadSessionRequest", "ReadSession", "ReadRowsRequest", "ReadRowsResponse"),
        *("FinalizeWriteStreamRequest", "FinalizeWriteStreamResponse", "StorageError"),
    )
    return {name: getattr(types, name).pb() for name in names}


def message(name: str) -> Pb:
    """The class of a message of the Storage API, without the library's Python wrapper."""
    return _messages()[name]
