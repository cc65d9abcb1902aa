"""Keeps what threads print from hanging them on ipykernel 6.

There, an output stream finds the cell of a thread by going from each thread to the one that started
it (`OutStream.parent_header`, ipykernel 6.31). Threads are known by numbers that the system gives
again, and what is known of ended threads is only dropped by garbage collection, so that two of them
can come to be each other's parents: whoever prints then goes round for ever. ipykernel 7 has no
such table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ("without_cycles",)

_TABLE = "_thread_to_parent"


class _Parents(dict[int, int]):
    """Thread to parent. A thread that begins has no children yet: older entries say nothing."""

    def __setitem__(self, child: int, parent: int) -> None:
        for stale in [thread for thread, its in list(self.items()) if its == child]:
            self.pop(stale, None)
        super().__setitem__(child, parent)


@contextmanager
def without_cycles(*streams: Any) -> Iterator[None]:
    """Let no thread of these streams be its own ancestor, as long as this lasts."""
    mended = [stream for stream in streams if isinstance(getattr(stream, _TABLE, None), dict)]
    for stream in mended:
        setattr(stream, _TABLE, _Parents())
    try:
        yield
    finally:
        for stream in mended:
            setattr(stream, _TABLE, dict(getattr(stream, _TABLE)))
