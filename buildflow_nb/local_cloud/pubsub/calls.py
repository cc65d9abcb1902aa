"""How calls become gRPC handlers: parsed, answered, refused.

Handlers are registered generically with protobuf's own classes, so no generated service code is
needed. A call returns a message, or bytes where it has encoded its answer itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import grpc

from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import StatusError

__all__ = (
    "Call",
    "Calls",
    "Context",
    "Handler",
    "encode",
    "refuse",
    "service",
    "unary",
    "waiting_unary",
)

Call: TypeAlias = Callable[[Pb], Pb]
Calls: TypeAlias = Mapping[str, tuple[Pb, Call]]  # name -> request class, call
Context: TypeAlias = Any  # grpc.aio.ServicerContext; grpc has no types
Handler: TypeAlias = Any  # grpc.RpcMethodHandler


def encode(answer: Pb) -> bytes:
    """Serialise an answer, unless it is bytes already."""
    return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())


async def refuse(context: Context, error: StatusError) -> None:
    """End a call with a status; never returns."""
    await context.abort(error.code, error.message, error.trailing_metadata())


def unary(request_class: Pb, call: Call) -> Handler:
    """Make a handler of a call that never waits."""

    async def answer(request: Pb, _context: Context) -> Pb:
        return call(request)

    return waiting_unary(request_class, answer)


def waiting_unary(request_class: Pb, call: Callable[[Pb, Context], Awaitable[Pb]]) -> Handler:
    """Make a handler of a call that may wait."""

    async def answer(request: Pb, context: Context) -> Pb:
        try:
            return await call(request, context)
        except StatusError as error:
            return await refuse(context, error)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request_class.FromString, response_serializer=encode
    )


def service(name: str, handlers: Mapping[str, Handler]) -> Any:
    """Make a service of its handlers."""
    return grpc.method_handlers_generic_handler(name, handlers)
