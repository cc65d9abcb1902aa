"""Errors that a person can mend, shown as one line; `%tb` still shows the whole traceback.

IPython lets one handler stand in for its traceback of chosen exceptions. A handler that was there
before keeps what it had.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any

from IPython.core.error import UsageError as IPythonUsageError

from buildflow_nb.core.errors import BuildFlowError

__all__ = ("UsageError", "hide_tracebacks", "show_tracebacks")


class UsageError(IPythonUsageError):
    """A magic line that cannot be done; a class of its own so that `%tb` shows where."""


_OURS = (BuildFlowError, UsageError)


def hide_tracebacks(shell: Any) -> None:
    """Show our errors as one line from now on."""
    before = shell.custom_exceptions, shell.CustomTB

    def one_line(
        _: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
        tb_offset: int | None = None,
    ) -> list[str]:
        if not isinstance(error, _OURS):
            lines: list[str] = before[1](kind, error, trace, tb_offset=tb_offset)
            return lines
        sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # for %tb
        lines = [f"{kind.__name__}: {error}{_where(shell, error)}"]
        shell._showtraceback(kind, error, lines)  # noqa: SLF001  (the one hook that front ends share)
        return lines

    shell.set_custom_exc((*before[0], *_OURS), one_line)
    shell.buildflow_before = before


def show_tracebacks(shell: Any) -> None:
    """Give IPython its own tracebacks back."""
    before = shell.__dict__.pop("buildflow_before", None)
    if before is not None:
        shell.custom_exceptions, shell.CustomTB = before


def _where(shell: Any, error: BaseException) -> str:
    """The user's own line, for errors of plain cells; a magic line is right above anyway."""
    if isinstance(error, UsageError):
        return ""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        named = shell.compile.format_code_name(frame.f_code.co_filename)
        if named is not None:
            place = f" ({named[0]} {named[1]}, line {line}; %tb shows the rest)"
    return place
