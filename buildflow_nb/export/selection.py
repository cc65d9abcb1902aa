"""Which statements of a notebook make up its program, and in which order.

Those that declare, and whatever they need, by names. What a name is set by stays together, in the
order of the cells; only what must be there earlier is moved up.
"""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterable, Sequence

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.reading import Notebook
from buildflow_nb.export.statement import APP, Statement

__all__ = ("select",)

_ALWAYS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__", APP}


def select(notebook: Notebook) -> list[Statement]:
    """The statements of the program, in its order.

    Raises:
        UsageError: nothing is declared, or something cannot stand in a program; says where.
    """
    chosen = _Chosen(notebook)
    chosen.take(s for s in chosen.statements if s.declares)
    if not chosen.taken:
        msg = (
            "nothing to export: no cell that ran declares a processor or manages a resource; "
            "write one under %%buildflow consumer source=…"
        )
        raise UsageError(msg)
    while chosen.take_touching():
        pass
    chosen.refuse_what_needs_a_notebook()
    chosen.refuse_missing()
    return _ordered(chosen.in_order(), chosen.binders)


class _Chosen:
    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self.binders: dict[str, list[Statement]] = {}
        self._stars: list[Statement] = []
        old = _superseded(notebook.statements)
        self.statements = [s for s in notebook.statements if id(s) not in old]
        for statement in self.statements:
            if isinstance(statement.node, ast.Delete):
                continue
            for name in statement.names.bound:
                self.binders.setdefault(name, []).append(statement)
            for name in _star_names(statement):
                self.binders.setdefault(name, []).append(statement)
        self.taken: set[int] = set()
        self.wanted: set[str] = set()

    def take(self, statements: Iterable[Statement]) -> bool:
        """Take statements with all that they need; whether any is new."""
        open_ = [s for s in statements if id(s) not in self.taken]
        found = bool(open_)
        while open_:
            statement = open_.pop()
            if id(statement) in self.taken:
                continue
            self.taken.add(id(statement))
            self.wanted |= statement.names.wanted
            for name in statement.names.wanted:
                open_.extend(self.binders.get(name, ()))
        return found

    def take_touching(self) -> bool:
        """Take what changes a needed value, or hangs code on it; whether any is new."""
        cells = {s.cell for s in self.in_order()}
        return self.take([s for s in self.statements if self._belongs(s, cells)])

    def _belongs(self, statement: Statement, cells: set[int]) -> bool:
        if statement.is_magic or statement.awaits() is not None or statement.commands:
            return False
        bound = {name for s in self.in_order() for name in s.names.bound}
        mine = (self.wanted | bound) - {APP}
        values = {name for name in mine if not self._imported(name)}
        if values & {*statement.decorator_roots(), *statement.changes()}:
            return True
        return statement.cell in cells and statement.calls() in mine

    def _imported(self, name: str) -> bool:
        return all(s.is_import for s in self.binders.get(name, ()))

    def in_order(self) -> list[Statement]:
        """What is taken, as it stands in the notebook."""
        return [s for s in self.statements if id(s) in self.taken]

    def refuse_what_needs_a_notebook(self) -> None:
        for statement in self.in_order():
            waiting = statement.awaits()
            if waiting is not None:
                msg = (
                    f"{statement.where(waiting)}: await stands outside of any function, which a "
                    "program cannot have; put it into an async function"
                )
                raise UsageError(msg)
            if statement.is_magic:
                msg = (
                    f"{statement.where(statement.name('get_ipython'))}: a magic or a command is "
                    "part of what the flow needs, and a program has none; write it in Python"
                )
                raise UsageError(msg)
            if statement.commands and not statement.declares:
                raise UsageError(_commanding(statement, self.wanted))

    def refuse_missing(self) -> None:
        missing: dict[str, str] = {}
        for statement in self.in_order():
            for name in sorted((statement.names.now | statement.names.later) - _ALWAYS):
                if name not in self.binders and name not in missing:
                    why = self._notebook.lost.get(name, "")
                    where = f"used in {statement.where(statement.name(name))}"
                    missing[name] = f"{name!r} ({where}{'; ' if why else ''}{why})"
        if missing:
            msg = (
                f"no cell that ran defines {', '.join(missing.values())}: only the kernel's memory "
                "may hold it; define it in a cell of Python and run that"
            )
            raise UsageError(msg)


def _superseded(statements: Sequence[Statement]) -> set[int]:
    """Functions and classes that another cell defines anew, and nothing used before that."""
    found: set[int] = set()
    blocks: dict[frozenset[str], list[int]] = {}
    for at, statement in enumerate(statements):
        if statement.is_block:
            blocks.setdefault(statement.names.bound, []).append(at)
    for bound, places in blocks.items():
        last = max(places, key=lambda at: (statements[at].run, at))
        for at in places:
            between = statements[min(at, last) + 1 : max(at, last)]
            used = any(s.names.now & bound and (s.names.bound or s.declares) for s in between)
            if at != last and not used:
                found.add(id(statements[at]))
    return found


def _commanding(statement: Statement, wanted: set[str]) -> str:
    names = ", ".join(sorted(statement.names.bound & wanted))
    method = next(iter(statement.flow_methods()))
    return (
        f"{statement.where()}: the flow needs {names}, which comes of {APP}.{method}(…); "
        "a program has no running flow while it declares one, so get the value another way"
    )


def _star_names(statement: Statement) -> list[str]:
    node = statement.node
    if not isinstance(node, ast.ImportFrom) or node.level or node.names[0].name != "*":
        return []
    try:
        module = importlib.import_module(node.module or "")
    except ImportError:
        return []
    public = [name for name in vars(module) if not name.startswith("_")]
    return list(getattr(module, "__all__", public))


def _ordered(
    statements: Sequence[Statement], binders: dict[str, list[Statement]]
) -> list[Statement]:
    """The same, with what a statement needs at once before it."""
    done: dict[int, Statement] = {}
    under_way: set[int] = set()
    mine = {id(s) for s in statements}

    def put(statement: Statement) -> None:
        if id(statement) in done or id(statement) in under_way:
            return
        under_way.add(id(statement))
        for name in sorted(statement.names.now | statement.names.soft):
            known = [s for s in binders.get(name, ()) if id(s) in mine]
            if not any(id(s) in done for s in known):
                for binder in known:
                    put(binder)
        done[id(statement)] = statement

    for statement in statements:
        put(statement)
    return list(done.values())
