"""The code of a WebSocket route: how it is called, and what typed messages are.

A message of a type is JSON, in a text or in bytes; `str` and `bytes` are the message itself. What
an async generator yields is sent in the same forms, each once the client has taken what came
before, nearly. A generator that takes no messages ends when its client does: nobody is left to
yield to. Any other one goes on until it asks for a message or yields one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any, cast

import msgspec

from buildflow_nb.core.conversion.annotations import is_unknown
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.conversion.secret_fields import secrets_of
from buildflow_nb.core.declaring.parameter_marks import ParameterSource
from buildflow_nb.core.declaring.websocket_parameters import message_type
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.http.code import RouteCode
from buildflow_nb.runtime.http.errors import details
from buildflow_nb.runtime.http.websocket import SocketSession

__all__ = ("Messages", "SocketCode", "current_session")

UNFIT = 1007  # RFC 6455 section 7.4.1: data that is not consistent with the type of the message

current_session: ContextVar[SocketSession] = ContextVar("current_session")
"""The WebSocket that a function is called for."""


class SocketCode(RouteCode):
    """A version of the code of one WebSocket route."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._many = False  # what it gives is sent, one by one, while it is called
        plan = self.binding.plan
        taken = plan.at(ParameterSource.MESSAGES)
        hint = message_type(taken[0].kind) if taken else None
        self.decode = _decoder(hint, self.owner) if taken else None
        self.secrets = secrets_of(hint) if taken else None
        """Finds the secrets in a message, where there may be any."""
        self.sends_by_itself = bool(taken) or self.spec.processor.many
        """Whether the function knows nothing of the WebSocket, which is accepted for it."""

    def _as_called(self, call: Callable[..., Any]) -> Callable[..., Any]:
        if not self.spec.processor.many:
            return call
        encode = _encoder(message_type(self.spec.processor.returns), self.owner)
        watched = self.decode is None

        @functools.wraps(call)
        async def sending(*args: Any, **words: Any) -> None:
            session = current_session.get()
            watch = asyncio.create_task(_watch(session)) if watched else None
            try:
                await _send_all(call(*args, **words), session, encode)
            finally:
                if watch is not None:
                    watch.cancel()

        # Not a generator function any more, whatever inspects it.
        return sending

    @staticmethod
    def seen(request: Any, values: object) -> object:  # noqa: ARG004  (as in its base)
        """The WebSocket as dependencies see it."""
        return request.socket.websocket


async def _send_all(
    values: AsyncGenerator[Any, None], session: SocketSession, encode: Callable[[Any], str | bytes]
) -> None:
    async with aclosing(values):
        async for value in values:
            data = encode(value)
            try:
                await session.give(data)
            except ConnectionError:
                return


async def _watch(session: SocketSession) -> None:
    """Read what nobody takes, to know when the client closes; then nothing needs to be made."""
    while session.ended is None:
        await session.next_frame()
    session.end_in(0)


class Messages:
    """The messages of a client, decoded, until it closes."""

    def __init__(
        self, session: SocketSession, code: SocketCode, refused: Callable[[str], None]
    ) -> None:
        self._session = session
        self._decode = cast("Callable[[str | bytes], Any]", code.decode)
        self._secrets, self._ring = code.secrets, code.ring
        self._refused = refused

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        while self._session.ended is None:
            found = await self._session.next_frame()
            if self._session.ended is not None:
                break
            try:
                message = self._decode(found.data)
            except (ConversionError, ValueError, TypeError, RecursionError) as error:
                text = _told(error)
                self._refused(text if self._secrets is None else "it does not fit")
                await self._session.close(UNFIT, text)
            else:
                if self._secrets is not None:  # nothing that the code says shows them
                    self._ring.hide(self._secrets(message))
                return message
        raise StopAsyncIteration


def _told(error: BaseException) -> str:
    """What does not fit, in a line, as a 422 tells it."""
    with suppress(Exception):
        one = details(error, ["message"])[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    return "the message does not fit"


def _decoder(hint: Any, owner: str) -> Callable[[str | bytes], Any]:
    if hint is str:
        return lambda data: data if isinstance(data, str) else data.decode()
    if hint is bytes:
        return lambda data: data.encode() if isinstance(data, str) else data
    if is_unknown(hint):
        return msgspec.json.decode
    decode = compile_decoder(hint, Wire.BYTES, f"{owner}, its messages").one
    return lambda data: decode(data.encode() if isinstance(data, str) else data)


def _encoder(hint: Any, owner: str) -> Callable[[Any], str | bytes]:
    """From a value to a message: text and bytes as they are, all else as JSON in a text."""
    check = compile_encoder(hint, Wire.OBJECT, owner)
    form = compile_encoder(None if is_unknown(hint) else hint, Wire.JSON, owner)

    def encode(value: Any) -> str | bytes:
        check((value,))
        if isinstance(value, (str, bytes)):
            return value
        made = form.form((value,))[0]
        return made.decode() if isinstance(made, bytes) else str(made)

    return encode
