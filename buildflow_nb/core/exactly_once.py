"""What exactly once needs of a source and a sink, and who has it.

A push that is cut off by a crash is made again with the same elements under the same id
(`PushId`), and its sink stores it once (`IdempotentSink`). For that the source must give the same
elements again in the same order, each with the same receipt, and be able to say when it has noted
for good that they are done. Primitives that can do so say it by an attribute: `replays` a source,
`stores_once` a sink. Receipts are then pairs of a text and a number.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ("KeepingSource", "replays", "stores_once")


@runtime_checkable
class KeepingSource(Protocol):
    """A source that goes on in a later run where this one was done."""

    async def keep(self) -> None:
        """Note for good what was settled; a later run does not get it again.

        Raises:
            TemporaryError: it cannot be noted for now.
        """
        ...


def replays(source: object) -> bool:
    """Whether a primitive gives what was not settled again, the same, in the same order."""
    return bool(getattr(source, "replays", False))


def stores_once(sink: object) -> bool:
    """Whether a primitive's sink is an `IdempotentSink`."""
    return bool(getattr(sink, "stores_once", False))
