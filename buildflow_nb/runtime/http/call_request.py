"""Starlette's request of one call, with bodies and forms that are bounded.

Importing this imports starlette.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.requests import Request

from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.forms import MANY, PART_LIMIT, FormReading
from buildflow_nb.runtime.http.request import BODY_LIMIT, BODY_S, too_long

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.asgi import AsgiConnection

__all__ = ("CallRequest",)


class CallRequest(Request):
    """Starlette's request, whose body is bounded and counted where it is kept."""

    def __init__(self, connection: AsgiConnection) -> None:
        super().__init__(connection.scope, connection.receive, connection.send)
        self._connection = connection

    async def body(self) -> bytes:
        """The whole body, which the request keeps, to be read again.

        Raises:
            HttpError: it is too long, too slow or broken, or there is no room for it.
            ClientDisconnect: the client has left.
        """
        if not hasattr(self, "_body"):
            connection = self._connection
            self._body = await (self._piecewise() if connection.wrapped else connection.whole())
        return self._body

    async def _piecewise(self) -> bytes:
        """The body, read through middleware, or what is left of it."""
        bounded, size, pieces = self._connection.bounded, 0, list[bytes]()
        try:
            async with asyncio.timeout(BODY_S), aclosing(self.stream()) as stream:
                async for piece in stream:
                    size += len(piece)
                    if size > BODY_LIMIT:
                        raise too_long(BODY_LIMIT)
                    bounded.bodies.add(bounded, len(piece))
                    pieces.append(piece)
        except TimeoutError as error:
            raise HttpError(408, "the body took too long to arrive", close=True) from error
        return b"".join(pieces)

    def form(
        self, *, max_files: float = MANY, max_fields: float = MANY, max_part_size: int = PART_LIMIT
    ) -> FormReading:
        """The form that is the body, with its files, which are closed at the end of the call.

        Raises:
            HttpError: it is too long, too slow or broken, or there is no room for it.
            ClientDisconnect: the client has left.
        """
        return FormReading(
            self,
            self._connection,
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=max_part_size,
        )

    async def is_disconnected(self) -> bool:
        """Whether the client has left; nothing of the body is taken to find out."""
        return self._connection.gone
