"""Processors that a person took out of the flow: `%buildflow remove price`, `app.remove("price")`.

What declared such a processor before is left as the plain function or class that it is, in case
that something else calls it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from buildflow_nb.commands.parsing import COMMANDS
from buildflow_nb.export.cells.statement import Statement

__all__ = ("commands_of", "without_removed")

_NAME = "buildflow"
# Words that a terminal knows as well, and that matter to whoever runs the program.
_OF_TERMINALS = frozenset(
    ("run", "preview", "apply", "refresh", "destroy", "status", "check", "cloud", "doctor")
)


def without_removed(statements: Sequence[Statement]) -> list[Statement]:
    """The statements without what they declared of processors that were removed later."""
    gone = {name: _time(s) for s in _by_time(statements) for name in _removed(s)}
    return [
        replace(statement.undeclared(), removed=True)
        if any(name in gone and _time(statement) < gone[name] for name in statement.processors)
        else statement
        for statement in statements
    ]


def commands_of(statements: Sequence[Statement]) -> tuple[str, ...]:
    """The terminal's twins of line magics, in order: `buildflow run --port 8001`."""
    lines = [line.strip() for s in statements for name, line in s.magics if name == _NAME]
    twins = (line for line in lines if line.partition(" ")[0] in _OF_TERMINALS & set(COMMANDS))
    return tuple(dict.fromkeys(f"{_NAME} {line}" for line in twins))


def _time(statement: Statement) -> tuple[int, int, int]:
    return statement.run, statement.cell, statement.at


def _by_time(statements: Sequence[Statement]) -> list[Statement]:
    return sorted(statements, key=_time)


def _removed(statement: Statement) -> Iterator[str]:
    yield from statement.removes
    for name, line in statement.magics:
        word, _, rest = line.strip().partition(" ")
        if name == _NAME and word == "remove":
            try:
                yield from shlex.split(rest)
            except ValueError:  # the kernel has refused it, too
                continue
