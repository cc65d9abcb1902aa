"""What processors print and log, kept per processor in a bounded ring.

Code of a processor runs with `current` set to its ring, on whatever thread or task. A log record
or a printed line made there belongs to that processor. In a notebook `captured` sends both to the
ring and nowhere else, because background output would land in whichever cell runs at that moment;
threads that a processor starts and calls that it gives to a pool are the processor's too. Code of
anybody else, and scripts, are left alone.

Where a processor's elements have secret fields, its ring masks them in every line (`hidden.py`),
and so do the log files of the user's own. A ring without any costs nothing more.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

from buildflow_nb.runtime.observability.hidden import Hidden

__all__ = ("LOG_LINES", "LogLine", "LogRing", "captured", "context_of", "current", "owned_by")

LOG_LINES = 2_000  # lines kept for each processor
MAX_LINE = 8_192  # characters kept of one line


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `number` counts up for each ring, `at` is seconds since the epoch."""

    number: int
    at: float
    level: str
    text: str


_Line = tuple[float, str, str]  # time, level, text


class _MaskedLines(list[_Line]):
    """Lines of a processor with secrets; a list of its own, so that others need not ask."""

    def __init__(self, hidden: Hidden) -> None:
        super().__init__()
        self._hidden = hidden

    def append(self, line: _Line) -> None:
        at, level, text = line
        super().append((at, level, self._hidden.masked(text)))


class LogRing:
    """The last lines of one processor; appended from any thread, without a lock.

    A line is a tuple until somebody reads it. `list.append` is atomic, so writers need no lock;
    whoever makes `recent` full begins a new one and lets the one before last go, which costs next
    to nothing a line. Lines are numbered by their place, which needs no counter that writers would
    have to share.
    """

    __slots__ = ("__weakref__", "_gone", "_lock", "_older", "hidden", "recent")

    def __init__(self) -> None:
        self.recent: list[_Line] = []
        self._older: list[_Line] = []
        self.hidden: Hidden | None = None
        self._gone = 0  # lines that were let go; changed under the lock
        self._lock = threading.Lock()

    def add(self, level: str, text: str) -> None:
        """Append a line, or several."""
        self.extend(level, text.splitlines())

    def extend(self, level: str, lines: Iterable[str]) -> None:
        """Append lines."""
        at = time.time()
        if self.hidden is not None:
            lines = [self.hidden.masked(line) for line in lines]
        self.recent.extend([(at, level, line[:MAX_LINE]) for line in lines])
        if len(self.recent) > LOG_LINES:
            self.turn()

    def take(self, lines: Iterable[tuple[float, str, str]]) -> None:
        """Append lines that were made elsewhere: time, level, text."""
        self.recent.extend([(at, level, self.told(text)) for at, level, text in lines])
        if len(self.recent) > LOG_LINES:
            self.turn()

    def hide(self, secrets: Iterable[object]) -> bool:
        """Mask these in what is added from now on; whether any of them is new."""
        hidden = self.hidden
        if hidden is None:
            with self._lock:
                hidden = self.hidden = self.hidden or Hidden()
                self._begin()
        return hidden.add(secrets)

    def hide_behind(self, before: int) -> None:
        """Mask what is hidden in the last lines, too, but for those that were there `before`."""
        with self._lock:
            first = self._gone
            for lines in (self._older, self.recent):
                for number in range(max(0, before - first), len(lines)):
                    at, level, text = lines[number]
                    lines[number] = (at, level, self.told(text))
                first += len(lines)

    @property
    def count(self) -> int:
        """How many lines there were until now."""
        return self._gone + len(self._older) + len(self.recent)

    def told(self, text: str) -> str:
        """A text of this processor for people, without what is hidden."""
        return text if self.hidden is None else self.hidden.masked(text)

    def turn(self) -> None:
        """Begin a new list; whoever appends calls it when there are more than `LOG_LINES`."""
        with self._lock:
            if len(self.recent) > LOG_LINES:
                self._begin()

    def _begin(self) -> None:
        self._gone += len(self._older)
        self._older = self.recent
        self.recent = [] if self.hidden is None else _MaskedLines(self.hidden)

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


def context_of(ring: LogRing | None) -> Context:
    """A context in which what is printed and logged belongs to the processor of a ring."""
    context = copy_context()
    if ring is not None:
        context.run(current.set, ring)
    return context


@contextmanager
def owned_by(ring: LogRing) -> Iterator[None]:
    """Let what is printed and logged in here, on this task or thread, be a processor's."""
    token = current.set(ring)
    try:
        yield
    finally:
        current.reset(token)


class _RingHandler(logging.Handler):
    """Sends records of processors to their ring."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit without the handler's lock, at which processors would wait for each other."""
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
                begun[ring] = rest if len(rest) <= longest else ring.told(rest)[-longest:]
        return len(text)

    return write


@contextmanager
def captured() -> Iterator[None]:
    """Send what processors print and log to their rings only, until the context ends."""
    out, err = sys.stdout, sys.stderr
    own_out, own_err = _Stream(out, "PRINT"), _Stream(err, "STDERR")
    with ExitStack() as undo:
        undo.enter_context(_put(logging.Logger, "callHandlers", _call_handlers()))
        undo.enter_context(_put(threading.Thread, "start", _start_thread()))
        undo.enter_context(_put(ThreadPoolExecutor, "submit", _submit()))
        undo.enter_context(_put(sys, "stdout", own_out))
        undo.enter_context(_put(sys, "stderr", own_err))
        yield


@contextmanager
def _put(owner: object, name: str, stand_in: object) -> Iterator[None]:
    """Let something stand in for an attribute, until the context ends."""
    before = getattr(owner, name)
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        if getattr(owner, name) is stand_in:  # else somebody has put theirs before it meanwhile
            setattr(owner, name, before)


def _call_handlers() -> Callable[[logging.Logger, logging.LogRecord], None]:
    """`Logger.callHandlers` that gives records of processors to their ring, not to the root.

    No handler of ours is on the root, where it would keep `basicConfig` and the handler of last
    resort from doing what they do without us.
    """
    plainly, to_ring = logging.Logger.callHandlers, _RingHandler()
    before = list(logging.getLogger().handlers)

    def call(self: logging.Logger, record: logging.LogRecord) -> None:
        ring = current.get()
        if ring is None:
            plainly(self, record)
            return
        if ring.hidden is not None:
            record = _without_secrets(record, ring)
        logger: logging.Logger | None = self
        while logger is not None:
            handlers = logger.handlers
            if logger.parent is None:  # the root's handlers write into a cell, all but new files
                files = (h for h in handlers if isinstance(h, logging.FileHandler))
                handlers = [to_ring, *(h for h in files if h not in before)]
            for handler in handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)
            logger = logger.parent if logger.propagate else None

    return call


def _without_secrets(record: logging.LogRecord, ring: LogRing) -> logging.LogRecord:
    """A record that says the same to everybody: to the ring, and to files of the user's own."""
    made = logging.makeLogRecord(vars(record))
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  (its arguments do not fit; whoever formats it says so)
        return record
    made.msg, made.args = ring.told(text), ()
    if record.exc_info and not record.exc_text:
        made.exc_text = _FORMATTER.formatException(record.exc_info)
    made.exc_info = None
    made.exc_text = made.exc_text and ring.told(made.exc_text)
    made.stack_info = made.stack_info and ring.told(made.stack_info)
    return made


_FORMATTER = logging.Formatter()


def _start_thread() -> Callable[[threading.Thread], None]:
    """`Thread.start` whose threads belong to the processor that starts them."""
    plainly = threading.Thread.start

    def start(self: threading.Thread) -> None:
        ring = current.get()
        if ring is None or "run" in vars(self):
            plainly(self)
            return
        vars(self)["run"] = partial(_run_thread, self, ring)
        try:
            plainly(self)
        except BaseException:
            vars(self).pop("run", None)
            raise

    return start


def _run_thread(thread: threading.Thread, ring: LogRing) -> None:
    vars(thread).pop("run", None)  # it was there for this one call
    current.set(ring)
    thread.run()


def _submit() -> Callable[..., Future[Any]]:
    """`ThreadPoolExecutor.submit` whose calls belong to the processor that makes them."""
    plainly = ThreadPoolExecutor.submit

    def submit(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        ring = current.get()
        if ring is None:
            return plainly(self, fn, *args, **kwargs)
        token = current.set(None)  # a thread that the pool starts now is there for anybody's calls
        try:
            return plainly(self, _run_call, ring, fn, *args, **kwargs)
        finally:
            current.reset(token)

    return submit


def _run_call(ring: LogRing, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = current.set(ring)
    try:
        return fn(*args, **kwargs)
    finally:
        current.reset(token)
