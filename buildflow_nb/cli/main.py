"""`buildflow COMMAND`: the project's flow, from a terminal.

Exit codes: 0 done; 1 failed, rejected, or errors were found; 2 wrong usage; 128 + n ended by
signal n before there was anything to finish (130: Ctrl-C).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from buildflow_nb.cli.output.terminal import Terminal, Terminated, as_typed_here
from buildflow_nb.cli.words import PROGRAM, read_words
from buildflow_nb.commands.command import Invocation
from buildflow_nb.core.errors import BuildFlowError, ConfigError, InfraError, UsageError

__all__ = ("main",)

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
Values = Mapping[str, Any]
Does = Callable[[Values, Terminal], int | None]

ANYWHERE = ("help", "jupyter")  # they have nothing to do with the folder
_TOLD = ("reasons", "warnings")  # of an error that has several

# The module and the function of each command; loaded when it is asked for, so that the others
# cost nothing.
_HOMES = {
    "init": "starting:init",
    "run": "running:run",
    "preview": "operations:preview",
    "apply": "operations:apply",
    "refresh": "operations:refresh",
    "destroy": "operations:destroy",
    "status": "looking:status",
    "check": "looking:check",
    "inspect": "looking:inspect",
    "look": "resource:look",
    "build": "building:build",
    "export": "building:export",
    "cloud": "looking:cloud",
    "doctor": "looking:doctor",
    "jupyter": "jupyter:jupyter",
    "help": "looking:help_",
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        asked = read_words(given)
        return 0 if asked is None else _carried_out(asked)
    except (UsageError, ConfigError) as error:
        return _failed(error, USAGE, given)
    except (BuildFlowError, TimeoutError) as error:
        return _failed(error, FAILED, given)
    except BrokenPipeError:  # who read the output has had enough
        _let_go_of_stdout()
        return FAILED
    except OSError as error:  # a full disk, a folder that goes at this moment
        _let_go_of_stdout()
        return _failed(error, FAILED)
    except KeyboardInterrupt as error:
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def _carried_out(asked: Invocation) -> int:
    if asked.command.name not in ANYWHERE:
        _check_folder()
    from buildflow_nb.core.alias import answer_to_buildflow

    answer_to_buildflow()
    values = asked.values
    terminal = Terminal(json=bool(values.get("json")))
    try:
        with terminal.kept_clean():
            return _does(asked.command.name)(values, terminal) or 0
    except InfraError as error:
        from buildflow_nb.cli.entry import ProgramError

        if error.text and (values.get("verbose") or isinstance(error, ProgramError)):
            sys.stderr.write(f"{error.text}\n")
        raise


def _check_folder() -> None:
    """Look whether the folder in which this runs is there: nearly all else begins with it.

    Raises:
        UsageError: it is gone, or may not be entered.
    """
    try:
        os.stat(os.getcwd())  # noqa: PTH109, PTH116  (a Path of it is what may fail)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        what = "is gone" if gone else f"cannot be looked at ({error.strerror})"
        msg = f"the folder in which this runs {what}; cd to one that is there"
        raise UsageError(msg) from error


def _does(name: str) -> Does:
    module, _, function = _HOMES[name].partition(":")
    does: Does = getattr(import_module(f"buildflow_nb.cli.{module}"), function)
    return does


def _let_go_of_stdout() -> None:
    """Have what is left in its buffer go nowhere, instead of failing once more at the end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(error: Exception, code: int, words: Sequence[str] = ()) -> int:
    text = as_typed_here(str(error))
    if {"--json", "--as-json"} & set(words):
        more = {name: getattr(error, name) for name in _TOLD if getattr(error, name, ())}
        Terminal(json=True).line({"error": text, "kind": type(error).__name__, **more})
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
