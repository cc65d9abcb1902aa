"""What statements read when they run, with what the functions that they call read then."""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.export.cells.statement import Statement

__all__ = ("Reads",)


class Reads:
    """Told of any statement, by the functions and classes among these."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._later: dict[str, frozenset[str]] = {}
        for statement in statements:
            if statement.is_block:
                for name in statement.names.bound:
                    known = self._later.get(name, frozenset())
                    self._later[name] = known | statement.names.later

    def of(self, statement: Statement) -> frozenset[str]:
        """All names that must have their values when it runs."""
        found = {*statement.names.now, *statement.names.perhaps}
        if statement.declares:
            found |= statement.names.soft  # annotations are resolved then
        open_ = list(found)
        while open_:
            new = self._later.get(open_.pop(), frozenset()) - found
            found |= new
            open_ += new
        return frozenset(found)
