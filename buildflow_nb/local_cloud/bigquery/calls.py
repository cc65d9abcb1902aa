"""The gRPC side: which methods there are, the password, and refusals as statuses.

The messages are the client library's own, without their Python wrappers.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
from google.cloud.bigquery_storage_v1 import types

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import RefusedError

__all__ = (
    "Admission",
    "Context",
    "Pb",
    "enum_name",
    "enum_value",
    "message",
    "refuse",
    "service_handler",
    "table_of",
)

Pb = Any  # a protobuf message or its class
Context = Any  # grpc.aio.ServicerContext, generic at run time only
_TABLE_PARTS = 6  # projects/p/datasets/d/tables/t
_CODES = {
    "notFound": grpc.StatusCode.NOT_FOUND,
    "notImplemented": grpc.StatusCode.UNIMPLEMENTED,
    "duplicate": grpc.StatusCode.ALREADY_EXISTS,
}


def message(name: str) -> Pb:
    """The class of a message of the Storage API."""
    return getattr(types, name).pb()


def enum_value(name: str, member: str) -> int:
    """The number of a member of an enum ("WriteStream.Type")."""
    return int(_enum(name)[member])


def enum_name(name: str, number: int) -> str:
    """The name of a member of an enum."""
    return str(_enum(name)(number).name)


def _enum(name: str) -> Any:
    found: Any = types
    for part in name.split("."):
        found = getattr(found, part)
    return found


def table_of(name: str) -> TableRef | None:
    """The table in a resource's name; None where there is none."""
    parts = name.split("/")
    keys = tuple(parts[:_TABLE_PARTS:2])
    if len(parts) < _TABLE_PARTS or keys != ("projects", "datasets", "tables"):
        return None
    return TableRef(parts[1], parts[3], parts[5])


async def refuse(context: Context, error: RefusedError) -> NoReturn:
    """End a call with a refusal."""
    code = _CODES.get(error.reason, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(code, str(error))
    raise error  # abort has raised already, which its types do not say


class Admission:
    """Lets calls in that carry the password as their bearer token."""

    def __init__(self, password: Secret) -> None:
        self._password = password

    async def check(self, context: Context) -> None:
        """End a call without the password."""
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        wanted = f"Bearer {self._password.reveal()}"
        if not hmac.compare_digest(str(given).encode(), wanted.encode()):
            said = "Request had invalid authentication credentials: the local BigQuery's password"
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, said)


def service_handler(service: str, methods: Mapping[str, grpc.RpcMethodHandler]) -> Any:
    """A handler of one of the Storage API's services."""
    full = f"google.cloud.bigquery.storage.v1.{service}"
    return grpc.method_handlers_generic_handler(full, methods)
