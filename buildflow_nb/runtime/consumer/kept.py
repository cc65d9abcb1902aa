"""Between the elements of a chunk and the source: whose each item is, and when that is noted."""

from __future__ import annotations

from typing import Any

from buildflow_nb.core.exactly_once import KeepingSource
from buildflow_nb.core.primitive import Source
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.consumer.outcome import ChunkOutcome
from buildflow_nb.runtime.consumer.settle import Settler

__all__ = ("kept", "origins_of")


def origins_of(chunk: Chunk, outcome: ChunkOutcome) -> list[Any]:
    """The receipt of the element that each item came from."""
    receipts = chunk.receipts(frozenset())
    if len(receipts) != len(chunk):  # some came without, of a retry by hand
        return [None] * len(outcome.items)
    slots = range(len(outcome.items)) if outcome.slots is None else outcome.slots
    return [receipts[slot] for slot in slots]


async def kept(settler: Settler, source: Source) -> None:
    """Tell the source what is done, and let it note that for good.

    Raises:
        TemporaryError: it could not; what was settled is still noted with the next push.
    """
    await settler.flush()
    if isinstance(source, KeepingSource):
        await source.keep()
