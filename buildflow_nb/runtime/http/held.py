"""The bytes of bodies that all requests of a server hold together, and their bound.

A body is counted from the first byte that is read until its request is answered: whoever waits in
line holds it as well as whoever is served. What aiohttp has received and nobody has read yet is
not: it stops receiving at `READ_AHEAD` for each connection.
"""

from __future__ import annotations

from typing import Protocol

from buildflow_nb.runtime.http.errors import HttpError

__all__ = ("HELD_LIMIT", "READ_AHEAD", "Held", "Holder")

HELD_LIMIT = 256 * 2**20  # bytes: sixteen of the longest bodies
READ_AHEAD = 64 * 1024  # bytes; aiohttp pauses a connection at twice as many


class Holder(Protocol):
    """A request."""

    held: int
    """Bytes that are counted for it."""


class Held:
    """Counts; `limit` is in bytes."""

    def __init__(self, limit: int = HELD_LIMIT) -> None:
        self.limit = limit
        self.bytes = 0

    def refuse_full(self, count: int) -> None:
        """Look whether so many more bytes could be held.

        Raises:
            HttpError: they could not: 503.
        """
        if self.bytes + count > self.limit:
            msg = f"busy: requests hold {self.bytes} of {self.limit} bytes; try again in a moment"
            raise HttpError(503, msg, {"Retry-After": "1"}, close=True)

    def add(self, holder: Holder, count: int) -> None:
        """Hold so many more bytes for a request.

        Raises:
            HttpError: there is no room for them.
        """
        if self.bytes + count > self.limit:
            self.refuse_full(count)
        self.bytes += count
        holder.held += count

    def give_back(self, holder: Holder, count: int) -> None:
        """Hold so many bytes no more."""
        self.bytes -= count
        holder.held -= count
