"""What the function of a WebSocket route may take and give, checked when it is declared.

It takes the `WebSocket` and does everything itself; or it is handed the messages, decoded, as
`AsyncIterator[T]`, and each value that it yields is a message to the client:

    @app.endpoint("/orders", method="WEBSOCKET")
    async def price(messages: AsyncIterator[Order]) -> AsyncIterator[Priced]: ...

Either may take path, query, headers and cookies as any endpoint does; there is no body.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args, get_origin

from buildflow_nb.core.conversion.annotations import type_name
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.declaring.dependencies import Ambient
from buildflow_nb.core.declaring.parameter_marks import ParameterSource
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Wire

if TYPE_CHECKING:
    from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
    from buildflow_nb.core.declaring.http_binding import Slot

__all__ = ("OF_CONNECTION", "WEBSOCKET", "message_type", "refuse_unfit", "socket_place")

WEBSOCKET = "WEBSOCKET"
"""The method of a WebSocket route, as it is declared; what comes in is a GET that asks for it."""

OF_CONNECTION = (ParameterSource.REQUEST, ParameterSource.SOCKET, ParameterSource.MESSAGES)
"""What the connection itself gives, so that no client sends it."""

_MANY = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_SOCKET = (ParameterSource.SOCKET, ParameterSource.MESSAGES)
_BODY = (
    ParameterSource.BODY,
    ParameterSource.RAW,
    ParameterSource.FORM,
    ParameterSource.FILE,
    ParameterSource.REQUEST,
)


def socket_place(hint: object) -> ParameterSource | None:
    """What of a WebSocket an annotation asks for, None for nothing."""
    if hint in _MANY or get_origin(hint) in _MANY:
        return ParameterSource.MESSAGES
    if isinstance(hint, type):
        bases = ((base.__module__, base.__name__) for base in hint.__mro__)
        return ParameterSource.SOCKET if ("starlette.websockets", "WebSocket") in bases else None
    return None


def message_type(hint: object) -> Any:
    """The type of one message of `AsyncIterator[T]`, None where it is not said."""
    arguments = get_args(hint) if get_origin(hint) in _MANY else ()
    return arguments[0] if arguments else None


def refuse_unfit(spec: CollectorSpec | EndpointSpec, slots: Iterable[Slot]) -> None:
    """Look whether a function and its route are both of a WebSocket, or neither is.

    Raises:
        DeclarationError: one alone is, or the function takes or gives what a WebSocket has not.
    """
    owner, processor = f"{spec.kind} {spec.id!r}", spec.processor
    taken = {slot.place: slot for slot in slots}
    found = [taken[place] for place in _SOCKET if place in taken]
    if spec.method != WEBSOCKET:
        if found:
            said = type_name(found[0].hint)
            msg = f'{owner}: {found[0].name!r} takes {said}; write method="WEBSOCKET" for that'
            raise DeclarationError(msg)
        return
    if not processor.is_async:
        msg = f"{owner}: a WebSocket endpoint waits for messages, so it must be async def"
        raise DeclarationError(msg)
    for place in _BODY:
        if place in taken:
            msg = (
                f"{owner}: {taken[place].name!r} would come from a request's {place.value}, and a "
                "WebSocket has messages only; take the WebSocket, or AsyncIterator[...] of them"
            )
            raise DeclarationError(msg)
    _refuse_mixed(owner, spec, found)
    if ParameterSource.MESSAGES in taken:
        slot = taken[ParameterSource.MESSAGES]
        where = f"{owner}, parameter {slot.name!r}"
        compile_decoder(message_type(slot.kind), Wire.BYTES, where)
    if processor.many:
        compile_encoder(message_type(processor.returns), Wire.BYTES, owner)


def _refuse_mixed(owner: str, spec: CollectorSpec | EndpointSpec, found: list[Slot]) -> None:
    processor = spec.processor
    if len(found) > 1:
        msg = (
            f"{owner}: {found[0].name!r} and {found[1].name!r} both take the messages; "
            "keep one of them"
        )
        raise DeclarationError(msg)
    socket = found[0] if found and found[0].place is ParameterSource.SOCKET else None
    if socket is not None and processor.many:
        msg = (
            f"{owner}: it sends by {socket.name!r} and by yielding; keep one of them, and take "
            "AsyncIterator[...] for the messages where it yields"
        )
        raise DeclarationError(msg)
    inside = any(one.needs(Ambient.WEBSOCKET) for one in processor.providers)
    if not found and not processor.many and not inside:
        msg = (
            f"{owner}: it neither takes the WebSocket nor messages, nor yields any; annotate a "
            "parameter with WebSocket (of buildflow_nb.requests) or AsyncIterator[...]"
        )
        raise DeclarationError(msg)
