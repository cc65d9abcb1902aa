"""Where a comment goes that a blank line parts from the import below it.

It is about its cell rather than the import, so it goes to what is kept next of that cell; where
nothing is, it stays with the import, since comments of kept code are never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from buildflow_nb.export.cells.statement import Statement

__all__ = ("settled",)


def settled(statements: Sequence[Statement]) -> dict[int, Statement]:
    """Statements with the comments that they get, by the identity of those without."""
    found: dict[int, Statement] = {}
    waiting: list[Statement] = []
    ordered = sorted(statements, key=lambda s: (s.cell, s.at))
    for statement in ordered:
        if waiting and waiting[0].cell != statement.cell:
            waiting = _given_back(found, waiting)
        if statement.is_import:
            waiting += [statement] if statement.about else []
        elif waiting:
            about = [line for one in waiting for line in (*one.about, "")]
            above = (*about, *statement.above) if statement.above else tuple(about[:-1])
            found[id(statement)] = replace(statement, above=above)
            waiting = []
    _given_back(found, waiting)
    return found


def _given_back(found: dict[int, Statement], waiting: list[Statement]) -> list[Statement]:
    for one in waiting:
        found[id(one)] = replace(one, above=(*one.about, *one.above))
    return []
