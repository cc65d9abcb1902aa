"""How a refusal reaches the engine: as a status with a message for people, without secrets.

A resource that was made in part is answered with `ErrorResourceInitFailed`, so that the engine
keeps it in the state and the next update or destroy deals with it: nothing is orphaned.

Source: pulumi, `ErrorResourceInitFailed` in provider.proto, sent as a detail of the gRPC status.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.codec import Bag, Plain, encode
from buildflow_nb.local_cloud.provider.names import DEFAULTS
from buildflow_nb.local_cloud.provider.resource import IncompleteError

__all__ = ("Refusals", "refuse")

DETAILS = "grpc-status-details-bin"  # where gRPC carries a google.rpc.Status
SHORTEST_SECRET = 3  # characters; blotting out shorter ones would only garble the message


def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    """End a call with a status."""
    context.abort(code, message)
    raise AssertionError(message)  # abort has raised already, which its types do not say


class Refusals:
    """Turns what a deed raises into a status: a context manager for one call."""

    def __init__(
        self,
        context: grpc.ServicerContext,
        deed: str,
        given: Bag,
        refusals: tuple[type[Exception], ...],
    ) -> None:
        self._context = context
        self._deed = deed
        self._given = given
        self._refusals = refusals

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, self._refusals):
            message = _blinded(f"{self._deed}: {error}", self._given)
            if isinstance(error, IncompleteError):
                self._context.set_trailing_metadata(((DETAILS, self._details(error, message)),))
            refuse(self._context, grpc.StatusCode.UNKNOWN, message)

    def _details(self, error: IncompleteError, message: str) -> bytes:
        values, secrets = self._given.values, self._given.secrets
        known = {name: value for name, value in values.items() if name != DEFAULTS}
        failed = proto.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=encode(known, secrets),
            inputs=encode(values, secrets),
            reasons=[message],
        )
        detail = any_pb2.Any()
        detail.Pack(failed)
        code = grpc.StatusCode.UNKNOWN.value[0]
        status = status_pb2.Status(code=code, message=message, details=[detail])
        serialized: bytes = status.SerializeToString()
        return serialized


def _blinded(message: str, given: Bag) -> str:
    for name in given.secrets:
        for secret in _texts(given.values[name]):
            if len(secret) >= SHORTEST_SECRET:
                message = message.replace(secret, "[secret]")
    return message


def _texts(value: Plain) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
