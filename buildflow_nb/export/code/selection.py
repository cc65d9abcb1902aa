"""Which statements of a notebook make up its program.

Those that declare, those that a person keeps, and whatever they need, by names. A processor that
was taken out of the flow is none; a function or a class that is written anew later is there once,
unless the first one was used in between.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildflow_nb.export.cells.reading import Notebook
from buildflow_nb.export.cells.statement import APP, Statement
from buildflow_nb.export.code.imported import imported_by
from buildflow_nb.export.code.left_settings import environment_of, say_left_settings
from buildflow_nb.export.code.module_source import beside
from buildflow_nb.export.code.removing import without_removed
from buildflow_nb.export.code.settings import names_of_os, settings_of_code
from buildflow_nb.export.messages import Messages

__all__ = ("Reads", "Selection", "Stars", "select")


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


_ALWAYS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__", APP}
_OF_IPYTHON = {
    "display": "a notebook has it by itself: write from IPython.display import display",
}
_OF_PICTURES = frozenset(
    ("matplotlib", "seaborn", "plotly", "bokeh", "altair", "IPython", "ipywidgets", "panel")
)
Stars = Callable[[ast.ImportFrom], frozenset[str] | None]  # what a star import brings


@dataclass(slots=True)
class Selection:
    """The statements of the program, as they stand in the notebook, and who binds which name.

    `anew` says of those that are written anew, by identity, in which cell.
    """

    statements: list[Statement] = field(default_factory=list)
    binders: dict[str, list[Statement]] = field(default_factory=dict)
    anew: dict[int, str] = field(default_factory=dict)


def select(
    notebook: Notebook, stars: Stars, findings: Messages, roots: Sequence[Path] = ()
) -> Selection:
    """Choose the statements, and say what cannot stand in a program.

    `roots` are folders in which modules of the notebook's own are found.
    """
    notebook.statements = without_removed(notebook.statements)
    dropped = _rewritten(notebook.statements)
    while True:
        chosen = _Chosen(notebook.statements, frozenset(dropped), stars, roots)
        chosen.take_all()
        used = {at for at in dropped if chosen.uses_between(at, dropped[at])}
        if not used:
            break
        for at in used:
            del dropped[at]
    if not chosen.declares:
        findings.refuse(
            "nothing to export: no cell that ran declares a processor or manages a resource; "
            "write one under %%buildflow consumer source=…"
        )
    for statement in chosen.binders.get(APP, ()):
        if isinstance(statement.node, ast.ImportFrom) and statement.node.module == "main":
            findings.refuse(
                f"{statement.label} line {statement.line()}: {APP} is that of main.py, which is a "
                "program already; run or build that, or export a notebook that declares a flow"
            )
    chosen.refuse_what_needs_a_notebook(findings)
    chosen.refuse_missing({**_OF_IPYTHON, **notebook.lost}, findings)
    anew = {
        id(notebook.statements[at]): notebook.statements[last].label for at, last in dropped.items()
    }
    chosen.say_doubts(anew, findings)
    say_left_settings(notebook.statements, chosen.taken, findings, notebook.left_out)
    return Selection(chosen.in_order(), chosen.binders, anew)


class _Chosen:
    def __init__(
        self,
        statements: Sequence[Statement],
        dropped: frozenset[int],
        stars: Stars,
        roots: Sequence[Path],
    ) -> None:
        self._all = statements
        self._reads = Reads(statements)
        self._names_of_os = names_of_os(node for s in statements for node in s.parts)
        self._roots = roots[1:]  # the first one needs no search path
        self.binders: dict[str, list[Statement]] = {}
        self._unknown_stars: list[Statement] = []
        self.statements = [s for at, s in enumerate(statements) if at not in dropped]
        for statement in self.statements:
            if not isinstance(statement.node, ast.Delete):
                for name in statement.names.bound | self._by_star(statement, stars):
                    self.binders.setdefault(name, []).append(statement)
        self._same = dict(s.same_as for s in self.statements if s.same_as is not None)
        self.taken: set[int] = set()
        self.declares = False
        self._names: set[str] = set()  # that are wanted or bound by what is taken

    def _by_star(self, statement: Statement, stars: Stars) -> frozenset[str]:
        node = statement.node
        if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*":
            return frozenset()
        found = stars(node)
        if found is None:
            self._unknown_stars.append(statement)
        return found or frozenset()

    def take_all(self) -> None:
        """Take what declares, with all that it needs and all that changes this."""
        adders = _adders(self.statements)
        roots = [s for s in self.statements if s.declares or (s.keep and _can_be_kept(s))]
        calls = [s for s in self.statements if _can_be_kept(s) and s.names.now & adders]
        self.declares = bool(calls) or any(s.adds for s in roots)
        self._take([*roots, *calls])
        if self.taken:
            self._take(self._unknown_stars)
            self._take([s for s in self.statements if _is_future(s.node)])
        while self._take([s for s in self.statements if self._belongs(s)]):
            pass

    def _take(self, statements: Iterable[Statement]) -> bool:
        """Take statements with all that they need; whether any is new."""
        open_ = [s for s in statements if id(s) not in self.taken]
        found = bool(open_)
        while open_:
            statement = open_.pop()
            if id(statement) in self.taken:
                continue
            self.taken.add(id(statement))
            self._names |= statement.names.wanted | statement.names.bound
            for name in statement.names.wanted:
                open_.extend(self.binders.get(name, ()))
        self._cells = {s.cell for s in self.in_order()}
        imports = (s for s in self.in_order() if s.is_import)
        self._beside = bool(self._roots) and any(self._is_beside(s) for s in imports)
        self._texts = {
            node.value
            for s in self.in_order()
            for node in s.parts
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        self._values = {
            name
            for name in self._names
            if name != APP and not all(s.is_import for s in self.binders.get(name, ()))
        }
        return found

    def _is_beside(self, statement: Statement) -> bool:
        found = imported_by(statement.node, statement.where)
        return any(beside(one.module.partition(".")[0], self._roots) for one in found)

    def _belongs(self, statement: Statement) -> bool:
        """Whether it changes a needed value, or hangs code on it."""
        if id(statement) in self.taken or statement.is_magic or statement.commands:
            return False
        if statement.awaits is not None:
            return False
        touched = statement.decorator_roots | statement.changes | {statement.mutates}
        touched |= {self._same[name] for name in touched if name in self._same}
        called = [f for name in statement.performs for f in self.binders.get(name, ())]
        around = [f for name in statement.decorator_roots for f in self.binders.get(name, ())]
        does = [f for f in called if not f.gives] + around  # a trial shows what is given back
        if any(f.effects & self._values and not f.processors for f in does):
            return True
        if self._is_handed(statement) or self._is_gathered(statement) or self._is_read(statement):
            return True
        if touched & self._values or (self._beside and statement.search_path is not None):
            return True
        mine = (touched | {statement.calls}) & (self._names - {APP})
        return statement.cell in self._cells and (bool(mine) or self._prepares(statement))

    def _is_handed(self, statement: Statement) -> bool:
        """Whether it gives a needed value to a function that changes what it is given."""
        return any(
            changed and name in self._values
            for called, names in statement.hands
            for function in self.binders.get(called, ())
            for changed, name in zip(function.changes_given, names, strict=False)
        )

    def _is_read(self, statement: Statement) -> bool:
        """Whether it sets a variable of the environment that is read by its name."""
        called = [f for name in statement.performs for f in self.binders.get(name, ())]
        inside = [settings_of_code(f.parts, self._names_of_os) for f in called if f.is_block]
        sets = {v for each in inside for one in each for v in one.variables or ()}
        return bool((sets | environment_of(statement, self._names_of_os)) & self._texts)

    def _is_gathered(self, statement: Statement) -> bool:
        """Whether it is a class that a needed one hears of."""
        bases = (b for name in statement.bases & self._names for b in self.binders.get(name, ()))
        return any(base.gathers for base in bases)

    def say_doubts(self, anew: Collection[int], findings: Messages) -> None:
        """Warn of what stays behind, and may change a value that the flow needs."""
        for statement in self._all:
            left = id(statement) not in self.taken and id(statement) not in anew
            told = statement.is_magic or statement.commands or statement.deletes
            if not left or told or statement.is_block:
                continue
            for name in sorted(statement.may_change & self._values - self._blocks()):
                findings.warn(
                    f"{statement.where()}: it stays behind, and may change {name!r}, which the "
                    "flow needs; if it does, write # buildflow: keep on the cell's first line"
                )

    def _blocks(self) -> set[str]:
        """Names of functions and classes."""
        return {name for name, found in self.binders.items() if all(s.is_block for s in found)}

    def _prepares(self, statement: Statement) -> bool:
        """Whether a function or a module prepares something by it, other than pictures."""
        binders = self.binders.get(statement.prepares, ())
        modules = (one.module for s in binders for one in imported_by(s.node, s.where))
        code = bool(binders) and all(s.is_import or s.is_block for s in binders)
        return code and not any(module.partition(".")[0] in _OF_PICTURES for module in modules)

    def in_order(self) -> list[Statement]:
        """What is taken, as it stands in the notebook."""
        return [s for s in self.statements if id(s) in self.taken]

    def uses_between(self, at: int, last: int) -> bool:
        """Whether something that is taken used the statement `at` before it was written anew."""
        bound = self._all[at].names.bound
        low, high = sorted((at, last))
        between = [s for s in self._all[low + 1 : high] if id(s) in self.taken]
        others = [s for s in between if s.names.bound != bound]
        if any((self._reads.of(s) | s.changes) & bound for s in others):
            return True
        anew = self._all[last]
        return id(anew) in self.taken and bool(self._reads.of(anew) & bound)

    def refuse_what_needs_a_notebook(self, findings: Messages) -> None:
        for statement in self.in_order():
            waiting = statement.awaits
            if waiting is not None:
                findings.refuse(
                    f"{statement.where(waiting)}: await stands outside of any function, which a "
                    "program cannot have; put it into an async function"
                )
            elif statement.is_magic:
                findings.refuse(
                    f"{statement.where(statement.name('get_ipython'))}: a magic or a command is "
                    "part of what the flow needs, and a program has none; write it in Python"
                )
            elif statement.commands and not statement.declares:
                findings.refuse(_commanding(statement, self._names))

    def refuse_missing(self, lost: dict[str, str], findings: Messages) -> None:
        missing: dict[str, str] = {}
        made = {name for s in self.in_order() for name in s.names.rebinds}  # by `global`
        known = {*self.binders, *made, "get_ipython"}
        for statement in self.in_order():
            for name in sorted((statement.names.now | statement.names.later) - _ALWAYS):
                if name not in known and name not in missing:
                    why = lost.get(name, "")
                    where = f"used in {statement.where(statement.name(name))}"
                    missing[name] = f"{name!r} ({where}{'; ' if why else ''}{why})"
        if missing and self._unknown_stars:
            star = self._unknown_stars[0]
            findings.warn(
                f"{star.where()}: only running {star.code.strip()} tells whether it brings "
                f"{', '.join(missing)}; import names one by one"
            )
        elif missing:
            findings.refuse(
                f"no cell that ran defines {', '.join(missing.values())}: only the kernel's memory "
                "may hold it; define it in a cell of Python and run that"
            )


def _adders(statements: Sequence[Statement]) -> frozenset[str]:
    """Functions that add to the flow when they are called, themselves or by another one."""
    found: frozenset[str] = frozenset()
    while True:
        more = {
            name
            for s in statements
            if s.is_block and (s.declares_later or s.names.later & found)
            for name in s.names.bound
        }
        if more <= found:
            return found
        found |= more


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _can_be_kept(statement: Statement) -> bool:
    return not statement.is_magic and not statement.commands


def _rewritten(statements: Sequence[Statement]) -> dict[int, int]:
    """Places of functions and classes that are written anew, and where they are."""
    blocks: dict[frozenset[str], list[int]] = {}
    own = {n for s in statements if not s.is_import for n in s.names.bound}
    for at, statement in enumerate(statements):
        hung = statement.decorator_roots & own - {APP}  # `@show.register`: each of them counts
        if statement.is_block and not hung:
            blocks.setdefault(statement.names.bound, []).append(at)
    found: dict[int, int] = {}
    for places in blocks.values():
        last = max(places, key=lambda at: (statements[at].run, at))
        found |= {at: last for at in places if at != last}
    return found


def _commanding(statement: Statement, wanted: set[str]) -> str:
    names = ", ".join(sorted(statement.names.bound & wanted))
    method = next(iter(statement.flow_methods))
    return (
        f"{statement.where()}: the flow needs {names}, which comes of {APP}.{method}(…); "
        "a program has no running flow while it declares one, so get the value another way"
    )
