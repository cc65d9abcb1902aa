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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ("LOG_LINES", "LogLine", "LogRing", "captured", "current")

LOG_LINES = 2_000  # lines kept for each processor
MANY = 2 * LOG_LINES  # at which the older half is taken away, so that it costs little a line
MAX_LINE = 8_192  # characters kept of one line


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `number` counts up for each ring, `at` is seconds since the epoch."""

    number: int
    at: float
    level: str
    text: str


class LogRing:
    """The last lines of one processor; appended from any thread, without a lock.

    A line is a tuple until somebody reads it. `deque.append` is atomic, so writers need no lock;
    only when the ring has twice the lines that it keeps does one of them take the oldest away.
    Lines are numbered by their place, which needs no counter that writers would have to share.
    """

    __slots__ = ("__weakref__", "_gone", "_lock", "recent")

    def __init__(self) -> None:
        self.recent: deque[tuple[float, str, str]] = deque()  # time, level, text
        self._gone = 0  # lines that were taken away; changed under the lock
        self._lock = threading.Lock()

    def add(self, level: str, text: str) -> None:
        """Append a line, or several."""
        at = time.time()
        self.recent.extend([(at, level, line[:MAX_LINE]) for line in text.splitlines()])
        if len(self.recent) > MANY:
            self.trim()

    def trim(self) -> None:
        """Take the oldest lines away; whoever appends calls it when there are `MANY`."""
        with self._lock:
            surplus = max(len(self.recent) - LOG_LINES, 0)
            for _ in range(surplus):
                self.recent.popleft()
            self._gone += surplus

    def lines(self, after: int = 0) -> list[LogLine]:
        """The lines with a number above `after`, oldest first."""
        with self._lock:
            found, gone = list(self.recent), self._gone
        first = max(len(found) - LOG_LINES, after - gone, 0)
        return [
            LogLine(gone + number, at, level, text)
            for number, (at, level, text) in enumerate(found[first:], first + 1)
        ]


current: ContextVar[LogRing | None] = ContextVar("current", default=None)


class _RingHandler(logging.Handler):
    """Sends records of processors to their ring."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit without the handler's lock, at which processors would wait for each other."""
        if current.get() is not None:
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        ring = current.get()
        if ring is None:
            return
        try:
            plain = not (record.exc_info or record.exc_text or record.stack_info)
            text = record.getMessage() if plain else self.format(record)
        except Exception:  # noqa: BLE001  (a user's arguments do not fit; as logging has it)
            self.handleError(record)
        else:
            ring.add(record.levelname, text or " ")


class _Outside(logging.Filter):
    """Keeps records of processors away from handlers that write into a cell."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return current.get() is None


class _Stream:
    """Stands before stdout or stderr; lines printed by a processor go to its ring."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream
        self.write = _writer(stream, level)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _writer(stream: TextIO, level: str) -> Callable[[str], int]:
    """`write` of a stream; a closure, since it is called twice for each line that is printed."""
    own = threading.local()  # what was written without a line's end yet, by ring
    ring_now, now, onward = current.get, time.time, stream.write

    def write(text: str) -> int:
        ring = ring_now()
        if ring is None:
            return onward(text)
        try:
            begun = own.begun
        except AttributeError:
            begun = own.begun = {}
        if text == "\n":
            recent = ring.recent
            recent.append((now(), level, begun.pop(ring, "")))
            if len(recent) > MANY:
                ring.trim()
        elif "\n" in text:
            *lines, rest = (begun.pop(ring, "") + text).split("\n")
            at = now()
            ring.recent.extend([(at, level, line[:MAX_LINE]) for line in lines])
            if len(ring.recent) > MANY:
                ring.trim()
            if rest:
                begun[ring] = rest[:MAX_LINE]
        elif ring in begun or len(text) > MAX_LINE:
            begun[ring] = (begun.get(ring, "") + text)[-MAX_LINE:]
        else:
            begun[ring] = text
        return len(text)

    return write


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
