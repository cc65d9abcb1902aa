"""Giving elements back: at once what nobody has tried, after a while what failed.

A queue that shows it at once delivers it again within milliseconds, thousands of times while
somebody mends the code, and each time it fails as before. So it waits a second, then twice as long
each time. Queues count deliveries, but a delivery is no failure: a consumer that was stopped has
given back what it never tried. Hence what the queue counts is believed up to a point only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildflow_nb.core.primitive import Releasing, Source

__all__ = ("Pauses", "give_back")


FIRST_S = 1
LONGEST_S = 300  # a message that somebody has mended the code for should not take all day
BELIEVED = 5  # failures before this run, at most; so the first of a run waits half a minute at most
REMEMBERED = 10_000  # elements whose failures are counted; older ones begin anew


class Pauses:
    """Counts failures by message id; used by one loop or under one lock."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def after_failure(self, message_id: str, deliveries: int = 1) -> int:
        """Whole seconds for which this one waits; `deliveries` is what the queue counts."""
        before = self._failures.pop(message_id, None)
        if before is None:
            before = min(max(deliveries - 1, 0), BELIEVED)
        self._failures[message_id] = before + 1
        if len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return min(FIRST_S << min(before, 16), LONGEST_S)

    def forget(self, message_ids: Iterable[str]) -> None:
        """These are done."""
        for message_id in message_ids:
            self._failures.pop(message_id, None)


async def give_back(source: Source, receipts: Sequence[object]) -> None:
    """Have elements delivered again, at once where the source can arrange that.

    Raises:
        TemporaryError: some could not be given back; the same receipts may be given back again.
    """
    if isinstance(source, Releasing):
        await source.release(receipts)
    else:
        await source.settle(receipts, ok=False)
