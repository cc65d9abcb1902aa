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
from collections.abc import Callable, Iterable, Iterator
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
    """The last lines of one processor; appended from any thread, without a lock.

    A line is a tuple until somebody reads it. `list.append` is atomic, so writers need no lock;
    whoever makes `recent` full begins a new one and lets the one before last go, which costs next
    to nothing a line. Lines are numbered by their place, which needs no counter that writers would
    have to share.
    """

    __slots__ = ("__weakref__", "_gone", "_lock", "_older", "recent")

    def __init__(self) -> None:
        self.recent: list[tuple[float, str, str]] = []  # time, level, text
        self._older: list[tuple[float, str, str]] = []
        self._gone = 0  # lines that were let go; changed under the lock
        self._lock = threading.Lock()

    def add(self, level: str, text: str) -> None:
        """Append a line, or several."""
        self.extend(level, text.splitlines())

    def extend(self, level: str, lines: Iterable[str]) -> None:
        """Append lines."""
        at = time.time()
        self.recent.extend([(at, level, line[:MAX_LINE]) for line in lines])
        if len(self.recent) > LOG_LINES:
            self.turn()

    def turn(self) -> None:
        """Begin a new list; whoever appends calls it when there are more than `LOG_LINES`."""
        with self._lock:
            if len(self.recent) > LOG_LINES:
                self._gone += len(self._older)
                self._older, self.recent = self.recent, []

    def lines(self, after: int = 0) -> list[LogLine]:
        """The lines with a number above `after`, oldest first."""
        with self._lock:
            found, gone = self._older + self.recent, self._gone
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
    """`write` of a stream; a closure, since it is called twice for each line that is printed.

    The two calls that `print` makes come first, and take as few steps as can be.
    """
    own = threading.local()  # what was written without a line's end yet, by ring
    ring_now, now, onward, longest = current.get, time.time, stream.write, MAX_LINE

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
            if len(recent) > LOG_LINES:
                ring.turn()
        elif "\n" not in text and ring not in begun and len(text) <= longest:
            begun[ring] = text
        else:
            *lines, rest = (begun.pop(ring, "") + text).split("\n")
            ring.extend(level, lines)
            if rest:
                begun[ring] = rest[-longest:]
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
