"""Gives back what nobody has tried, to sources that tell it from what failed and to others."""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.core.primitive import Releasing, Source

__all__ = ("give_back",)


async def give_back(source: Source, receipts: Sequence[object]) -> None:
    """Have elements delivered again, at once where the source can arrange that.

    Raises:
        TemporaryError: some could not be given back; the same receipts may be given back again.
    """
    if isinstance(source, Releasing):
        await source.release(receipts)
    else:
        await source.settle(receipts, ok=False)
