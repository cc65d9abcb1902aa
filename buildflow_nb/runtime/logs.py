"""What processors print and log, kept per processor in a bounded ring.

Code of a processor runs with `current` set to its ring, on whatever thread or task. A log record
or a printed line made there belongs to that processor. In a notebook `captured` sends both to the
ring and nowhere else, because background output would land in whichever cell runs at that moment;
scripts are left alone.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ("LOG_LINES", "LogLine", "LogRing", "captured", "current")

LOG_LINES = 2_000  # lines kept for each processor
MAX_LINE = 8_192  # characters kept of one line


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `number` counts up for each ring, `at` is seconds since the epoch."""

    number: int
    at: float
    level: str
    text: str


class LogRing:
    """The last lines of one processor; appended from any thread."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, level: str, text: str) -> None:
        """Append a line, or several."""
        at = time.time()
        with self._lock:
            for line in text.splitlines():
                self._count += 1
                self._lines.append(LogLine(self._count, at, level, line[:MAX_LINE]))

    def lines(self, after: int = 0) -> list[LogLine]:
        """The lines with a number above `after`, oldest first."""
        with self._lock:
            return [line for line in self._lines if line.number > after]


current: ContextVar[LogRing | None] = ContextVar("current", default=None)


class _RingHandler(logging.Handler):
    """Sends records of processors to their ring."""

    def emit(self, record: logging.LogRecord) -> None:
        ring = current.get()
        if ring is not None:
            ring.add(record.levelname, self.format(record))


class _Outside(logging.Filter):
    """Keeps records of processors away from handlers that write into a cell."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return current.get() is None


class _Stream:
    """Stands before stdout or stderr; lines printed by a processor go to its ring."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self._level = level
        self._partial: dict[int, str] = {}

    def write(self, text: str) -> int:
        ring = current.get()
        if ring is None:
            return self._stream.write(text)
        *lines, rest = (self._partial.pop(id(ring), "") + text).split("\n")
        if lines:
            ring.add(self._level, "\n".join(lines))
        if rest:
            self._partial[id(ring)] = rest[-MAX_LINE:]
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def captured() -> Iterator[None]:
    """Send what processors print and log to their rings only, until the context ends."""
    handler, outside = _RingHandler(), _Outside()
    root = logging.getLogger()
    others = list(root.handlers)
    for other in others:
        other.addFilter(outside)
    root.addHandler(handler)
    out, err = sys.stdout, sys.stderr
    own_out, own_err = _Stream(out, "PRINT"), _Stream(err, "STDERR")
    sys.stdout, sys.stderr = own_out, own_err
    try:
        yield
    finally:
        root.removeHandler(handler)
        for other in others:
            other.removeFilter(outside)
        if sys.stdout is own_out:
            sys.stdout = out
        if sys.stderr is own_err:
            sys.stderr = err
