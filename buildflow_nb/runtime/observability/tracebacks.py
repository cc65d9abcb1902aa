"""Errors of user code, made fit to be kept: the user's part of a traceback, and nothing else alive.

A frame of a traceback holds its locals, and through `f_back` the frames that called it. Ours hold
whole chunks: an error kept for a person would keep ten thousand elements with it. So a kept error's
traceback begins with the user's first frame, and our frames behind that are cleared.

An error of a sink keeps no frames at all: those of its libraries hold everything that was pushed.

Only frames of the modules in `_PER_CALL` are cleared, and only after the call that they belong to
has returned: `frame.clear()` on a coroutine that is merely suspended would close it.
"""

from __future__ import annotations

import asyncio
import re
import traceback as tracebacks
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, TracebackType

from buildflow_nb.core.errors import BuildFlowError, ConversionError, told
from buildflow_nb.core.surroundings import cell_of_file

__all__ = (
    "MOST_LINE",
    "MOST_TRACEBACK",
    "cut",
    "describe",
    "harmless",
    "is_huge",
    "reason_of",
    "short_line",
    "short_traceback",
)

MOST_LINE = 4_000  # letters that are kept of an error in one line
MOST_TRACEBACK = 40_000  # of a traceback: half of them its beginning, half its end
MOST_KEPT = 256 << 10  # letters of an error that is kept as it is, since it cannot be cut
# Secrets are masked before a text is cut to what is kept, or the cut would hide one's second half
# from who looks for the whole. So what is masked is cut as well, but far away from there.
_MOST_MASKED = 1 << 20

_PACKAGE = __name__.partition(".")[0]
_PER_CALL = frozenset(
    f"{_PACKAGE}.runtime.{name}"
    for name in (
        "concurrency.calls",
        "consumer.code",
        "consumer.manual_retry",
        "consumer.send",
        "consumer.worker_pool",
        "http.binding",
        "http.code",
    )
)
_PUSHES = f"{_PACKAGE}.runtime.sinks.push"
_FILE = re.compile(r'(?<=^  )File "(.+?)"(?=, line \d+)', re.MULTILINE)
_EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError)


def describe(error: BaseException) -> str:
    """One line: the kind of error and what it says, if it can be told."""
    kind, text = type(error).__name__, told(error)
    return kind if text == kind else f"{kind}: {text}"


def short_line(text: str) -> str:
    """A line as it is kept: an error may quote a whole file."""
    return text if len(text) <= MOST_LINE else f"{text[: MOST_LINE - 1]}…"


def short_traceback(text: str) -> str:
    """A traceback as it is kept: where it begins, and what it ends with."""
    return _ends_of(text, MOST_TRACEBACK)


def is_huge(error: BaseException) -> bool:
    """Whether an error, with its causes, has so much text that it had better not be kept."""
    left = MOST_KEPT
    for each in _with_causes(error):
        left -= _letters_of(each)
        if left < 0:
            return True
    return False


def reason_of(error: BaseException) -> str:
    """Why something ended, for people: one of our own errors says it as it stands."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, BuildFlowError) else describe(error)


def cut(error: BaseException) -> str:
    """Cut the traceback, and those of its causes, to the user's part; free what ours held.

    Gives the traceback as text: of a conversion only its last line, since the rest is our own code.
    Call it after the code that raised the error has returned to us.
    """
    if _comes_from_a_push(error):
        text = _formatted(error)
        for each in _with_causes(error):
            each.__traceback__ = None
        return text
    for each in _with_causes(error):
        trace = each.__traceback__
        while trace is not None and _is_ours(trace.tb_frame):
            _clear(trace.tb_frame)
            trace = trace.tb_next
        if trace is not None:
            _clear_callers(trace)
        each.__traceback__ = trace
    if isinstance(error, ConversionError):
        return _ends_of("".join(tracebacks.format_exception_only(error)), _MOST_MASKED)
    return _formatted(error)


def _formatted(error: BaseException) -> str:
    try:
        text = "".join(tracebacks.format_exception(error))
        return _with_cells(_ends_of(text, _MOST_MASKED))
    except BaseException:  # noqa: BLE001  (a user's own class, which may do anything)
        return f"{describe(error)}\n"


def _with_cells(text: str) -> str:
    """The same with cells by their numbers, as IPython names them, not by temporary files."""
    return _FILE.sub(lambda m: f"Cell In{cell}" if (cell := cell_of_file(m[1])) else m[0], text)


def _ends_of(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}…\n({len(text) - most:,} letters are left out)\n…{text[-half:]}"


def _letters_of(error: BaseException) -> int:
    """How many it says or holds: a class may say less than its arguments are."""
    found = [*error.args, *getattr(error, "__notes__", ())]
    with suppress(BaseException):  # a user's own __str__
        found.append(str(error))
    return max((len(one) for one in found if isinstance(one, (str, bytes, bytearray))), default=0)


def harmless(error: BaseException) -> BaseException:
    """The error, or where raising it would end a loop or a kernel, one that says the same."""
    if not isinstance(error, _EXITS):
        return error
    made = RuntimeError(describe(error))
    made.__cause__ = error
    return made.with_traceback(error.__traceback__)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
        yield each


def _comes_from_a_push(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame):
        if trace.tb_frame.f_globals.get("__name__") == _PUSHES:
            return True
        trace = trace.tb_next
    return False


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")


def _clear_callers(trace: TracebackType) -> None:
    frame = trace.tb_frame.f_back
    while frame is not None and frame.f_globals.get("__name__") in _PER_CALL:
        _clear(frame)
        frame = frame.f_back


def _clear(frame: FrameType) -> None:
    if frame.f_globals.get("__name__") in _PER_CALL:
        with suppress(RuntimeError):  # it is executing
            frame.clear()
