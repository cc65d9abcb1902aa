"""Cells that ran in another order than they stand, where that makes a difference to the flow."""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.export.cells.statement import APP, Statement
from buildflow_nb.export.messages import Messages

__all__ = ("say_run_order", "say_set_twice")


def say_run_order(statements: Sequence[Statement], findings: Messages) -> None:
    """Warn of values that a cell used as they were before, or after, their cell ran last."""
    binders: dict[str, list[Statement]] = {}
    for statement in statements:
        if not statement.is_import:
            for name in statement.names.bound - {APP}:
                binders.setdefault(name, []).append(statement)
    pairs: dict[tuple[str, str, bool], set[str]] = {}
    for reader in statements:
        for name in reader.names.now:
            for binder in binders.get(name, ()):
                above = binder.cell < reader.cell
                if binder.cell != reader.cell and above != (binder.run < reader.run):
                    pairs.setdefault((binder.where(), reader.where(), above), set()).add(name)
    for (binder_at, reader_at, above), names in pairs.items():
        stands, ran = ("above", "after") if above else ("below", "before")
        shown = ", ".join(map(repr, sorted(names)))
        findings.warn(
            f"{binder_at} sets {shown} {stands} {reader_at}, which uses it, but ran {ran} it; "
            "in the program it stands first"
        )


def say_set_twice(statements: Sequence[Statement], findings: Messages) -> None:
    """Warn of names that several cells set."""
    places: dict[str, dict[int, Statement]] = {}
    for statement in statements:
        for name in statement.names.bound if not statement.is_import else ():
            places.setdefault(name, {})[statement.cell] = statement
    for name, found in places.items():
        if len(found) > 1 and name != "_":
            where = " and ".join(statement.label for statement in found.values())
            what = "the flow" if name == APP else repr(name)
            findings.warn(f"{what} is set in {where}; in the program the last of them counts")
