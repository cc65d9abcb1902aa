"""Sends texts to an SQS queue, in batches of up to ten messages.

What SQS cannot take fails alone, before anything is sent. The batches of a push overlap, since a
standard queue keeps no order anyway; those of a FIFO queue go one after the other, and one that
fails keeps the later ones from being sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from buildflow_nb.core.errors import (
    BuildFlowError,
    ConversionError,
    PartialPushError,
    TemporaryError,
)
from buildflow_nb.io._sqs_link import BATCH, Failures, QueueLink
from buildflow_nb.io._sqs_message import Entry, Fifo, checked_size
from buildflow_nb.io._threads import Threads

__all__ = ("SqsWriter",)

MAX_CALLS = 8  # a push of a hundred elements is ten calls
OLD_LIMIT = 256 << 10  # bytes of a batch that every SQS takes; a queue with a higher limit more


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message that can be sent, and its position in the push."""

    place: int
    size: int
    entry: Entry


class SqsWriter:
    """Sends to one queue; `fifo` says how its messages are grouped, if it is a FIFO queue."""

    def __init__(self, link: QueueLink, fifo: Fifo) -> None:
        self._link = link
        self._fifo = fifo if link.fifo else None
        self._threads = Threads(f"sqs-{link.name}", MAX_CALLS)

    def open(self) -> None:
        """Look the queue up."""
        _ = self._link.max_bytes

    def write(self, items: Sequence[object]) -> None:
        """Send the texts.

        Raises:
            PartialPushError: all were sent but some.
            TemporaryError: none was sent, since the queue is missing or out of reach.
            PermanentError: the queue refuses us.
        """
        limit = self._link.max_bytes
        letters: list[_Letter] = []
        failed: Failures = {}
        for place, item in enumerate(items):
            try:
                letters.append(self._letter(place, cast("str", item), limit))
            except ConversionError as error:
                failed[place] = error
        failed |= self._send(list(_packs(letters, max(limit, OLD_LIMIT))))
        if failed:
            _report(dict(sorted(failed.items())), len(items))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def _letter(self, place: int, text: str, limit: int) -> _Letter:
        size = checked_size(text, limit)
        stamp = self._fifo.stamp(text) if self._fifo is not None else {}
        return _Letter(place, size, {"MessageBody": text, **stamp})

    def _send(self, packs: list[list[_Letter]]) -> Failures:
        failed: Failures = {}
        if self._fifo is None:
            calls = [self._threads.submit(partial(self._post, pack)) for pack in packs]
            for call in calls:
                failed |= call.result()
            return failed
        for pack in packs:
            if any(isinstance(error, TemporaryError) for error in failed.values()):
                failed |= {letter.place: _held_back() for letter in pack}
            else:
                failed |= self._post(pack)
        return failed

    def _post(self, pack: list[_Letter]) -> Failures:
        """Send one batch; gives what failed, by position in the push."""
        try:
            failures = self._link.send([letter.entry for letter in pack])
        except TemporaryError as error:
            return {letter.place: error for letter in pack}
        return {pack[i].place: error for i, error in failures.items()}


def _packs(letters: Sequence[_Letter], most_bytes: int) -> Iterator[list[_Letter]]:
    pack: list[_Letter] = []
    size = 0
    for letter in letters:
        if pack and (len(pack) == BATCH or size + letter.size > most_bytes):
            yield pack
            pack, size = [], 0
        pack.append(letter)
        size += letter.size
    if pack:
        yield pack


def _held_back() -> BuildFlowError:
    return TemporaryError("a message before it in the FIFO queue could not be sent yet")


def _report(failed: Failures, count: int) -> None:
    """Raise what says best that these of `count` messages were not sent."""
    first = next(iter(failed.values()))
    if len(failed) == count and all(isinstance(e, TemporaryError) for e in failed.values()):
        raise first
    msg = f"{len(failed)} of {count} messages cannot be sent; the first: {first}"
    raise PartialPushError(msg, failed)
