"""Where clicks become work: a line is parsed as the magic's would be, and done on a thread.

A click is a line of `%buildflow`, read by the same table as the magic; so what a button does can
be written down, and nothing that is not in the table can be asked for. A click never blocks the
kernel: it is queued, and the thread says what came of it. What takes its time (operations on cloud
resources, a recording, code that a person sends an element to) has a thread of its own, so that the
flow can be steered meanwhile. What starts or removes something waits until no cell runs, since what
a cell declares is all or nothing; what ends something never waits.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from buildflow_nb.commands.command import Invocation
from buildflow_nb.commands.parsing import LINE, parse
from buildflow_nb.core.errors import BuildFlowError, RejectedError, UsageError

__all__ = ("ClickQueue", "Handler", "Said")

_LOGGER = logging.getLogger(__name__)
WAITING = 16  # clicks that wait for a thread; a person who clicks more is told to wait
OPERATIONS = frozenset({"preview", "apply", "refresh", "destroy"})
_STEER = frozenset({"run", "start", "remove"})  # what waits for the cell that runs
GONE_S = 6.0  # after which what went well is no news
TOLD_S = 30.0  # after which what is merely told is none
CELL_S = 3_600.0  # for so long; whoever clicked has forgotten it by then


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a line; `tone` is "ok", "warn" or "err"."""

    text: str
    tone: str = "ok"


Handler = Callable[[Mapping[str, Any]], Said | str]  # a text is "ok", "" says nothing


class ClickQueue:
    """The threads that do what is clicked; clicks come from any thread, also from two at once.

    `changed` is called whenever there is something new to show. `between_cells` is set while no
    cell runs, and `cell` names the one that does.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        between_cells: threading.Event | None = None,
        cell: Callable[[], str] = lambda: "a cell",
    ) -> None:
        self.history = History()
        self.handlers: dict[str, Handler] = {}
        self.said = ""
        self.tone = "mute"
        self._said_at = 0.0
        self.last = ""
        self._changed = changed
        self._between_cells = between_cells
        self._cell = cell
        self._lock = threading.Lock()
        self._threads: dict[str, _ClickThread] = {}
        self._pending: list[str] = []  # lines under way or waiting for it
        self._waiting: set[str] = set()  # those of them that wait for the cell that runs

    def off(self, line: str) -> str:
        """Why a line cannot be clicked now, "" if it can."""
        pending = [other for other in list(self._pending) if _operates(other) == _operates(line)]
        if line in pending:
            return f"waits for {self._cell()}" if line in self._waiting else "under way"
        return f"{pending[0]} is under way" if pending and _operates(line) else ""

    def sending(self, processor_id: str) -> str:
        """Why no element can be sent to a processor now, "" if one can."""
        words = f"{LINE} send {processor_id} "
        return "under way" if any(line.startswith(words) for line in list(self._pending)) else ""

    def click(self, line: str, shown: str = "") -> None:
        """Queue a line; `shown` is what is remembered of one that holds a secret.

        Raises:
            UsageError: it is none that can be clicked.
        """
        asked = parse(line.removeprefix(LINE))
        handler = self.handlers.get(asked.command.name)
        if handler is None:
            msg = f"{asked.command.name} is for cells; no button stands for it"
            raise UsageError(msg)
        with self._lock:
            off = self.off(line)
            if not off:
                self._pending.append(line)
        if off:
            self.say(f"{shown or line}: {off}", "warn")
            return
        self.say("")  # what was said of an earlier line is not of this one
        name = _lane_of(asked)
        with self._lock:
            thread = self._threads.setdefault(name, _ClickThread(f"buildflow {name}"))
        if asked.command.name in _STEER:
            handler = self._after_cell(line, handler)
        if not thread.put(partial(self._do, line, shown or line, handler, asked.values)):
            self._pending.remove(line)
            self.say("too many clicks wait for their turn; this one was dropped", "warn")
            return
        self.last = shown or line
        self.history.add(self.last)
        self._changed()

    def say(self, text: str, tone: str = "mute") -> None:
        """Show a line about what happened."""
        self.said, self.tone, self._said_at = text, tone, time.monotonic()
        self._changed()

    @property
    def news(self) -> str:
        """What was said last, as long as it is news: what went well is so for a moment."""
        lasts = {"ok": GONE_S, "mute": TOLD_S}.get(self.tone)  # an error stays until it is read
        old = lasts is not None and time.monotonic() - self._said_at > lasts
        return "" if old else self.said

    def _after_cell(self, line: str, handler: Handler) -> Handler:
        """The same, once no cell runs."""

        def waited(values: Mapping[str, Any]) -> Said | str:
            between = self._between_cells
            if between is not None and not between.is_set():
                self._waiting.add(line)
                self._changed()
                ended = between.wait(CELL_S)
                self._waiting.discard(line)
                if not ended:
                    msg = f"{self._cell()} has been running for an hour; click again after it"
                    raise UsageError(msg)
            return handler(values)

        return waited

    def _do(self, line: str, shown: str, handler: Handler, values: Mapping[str, Any]) -> None:
        try:
            said = handler(values)
        except RejectedError as error:
            self.say(str(error))  # the person's own no
        except (BuildFlowError, TimeoutError) as error:
            self.say(str(error), "err")
        except Exception as error:  # the thread's boundary: user code, an SDK
            _LOGGER.exception("%s failed", shown)
            self.say(f"{type(error).__name__}: {error}", "err")
        else:
            if isinstance(said, Said):
                self.say(said.text, said.tone)
            elif said:
                self.say(said, "ok")
        finally:
            self._pending.remove(line)
            self._changed()


def _operates(line: str) -> bool:
    """Whether a line is an operation on cloud resources."""
    return line.removeprefix(LINE).split()[0] in OPERATIONS


def _lane_of(asked: Invocation) -> str:
    """Operations exclude each other, and so does what starts; the rest has a thread a word.

    What ends something never waits for it.
    """
    command = asked.command.name
    if command in OPERATIONS:
        return "operations"
    if asked.values.get("end"):
        return f"end of {command}"
    return "steering" if command in _STEER else command


class _ClickThread:
    """A daemon thread, started with its first job, that does one job after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> bool:
        """Queue a job; False where too many wait."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return True

    def _work(self) -> None:
        while True:
            self._jobs.get()()


# What a person clicked, as the lines that it stands for, oldest first.
# A line is a magic, so the clicks of a session can be put into cells and run again.

KEPT = 500  # clicks


@dataclass(frozen=True, slots=True)
class Click:
    """One click; `at` is seconds since the epoch."""

    at: float
    line: str


class History:
    """The last clicks of a session."""

    def __init__(self) -> None:
        self._clicks: deque[Click] = deque(maxlen=KEPT)

    def add(self, line: str) -> None:
        """Note a click."""
        self._clicks.append(Click(time.time(), line))

    @property
    def clicks(self) -> list[Click]:
        """All that is kept."""
        return list(self._clicks)

    def cell(self) -> str:
        """The lines as the source of a cell."""
        return "\n".join(click.line for click in self._clicks)
