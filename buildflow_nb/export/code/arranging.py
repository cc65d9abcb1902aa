"""The order in which a program reads: imports, types, what the flow works on, and its declarations.

Within each of these the notebook's order stays. A statement is only moved across another one where
neither sets, changes or needs at once a name that the other sets or changes, so that every value is
the one that the notebook's order gives. What must be there earlier is moved up, and said.
"""

from __future__ import annotations

import ast
import builtins
import heapq
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from buildflow_nb.export.cells.statement import APP, Statement
from buildflow_nb.export.code.selection import Reads, Selection
from buildflow_nb.export.messages import Messages

__all__ = ("DECLARATIONS", "SEARCH", "SETUP", "TYPES", "Arranged", "arranged", "resorted")

SEARCH, TYPES, SETUP, DECLARATIONS = range(-1, 3)  # SEARCH is where modules are found
_BUILTINS = frozenset(dir(builtins)) - {"open", "print", "input", "exec", "eval"}
_FOUND = "\0import"  # stands for what an import finds
_FINDERS = frozenset(("sys", "os", "site", "importlib"))  # that change imports of others


@dataclass(slots=True)
class Arranged:
    """Imports that can stand at the top, then everything else in order, with its group."""

    imports: list[Statement] = field(default_factory=list)
    rest: list[Statement] = field(default_factory=list)
    groups: dict[int, int] = field(default_factory=dict)  # by identity of the statement

    @property
    def all(self) -> list[Statement]:
        """Every statement, in the program's order."""
        return [*self.imports, *self.rest]

    def replace(self, statements: Sequence[Statement]) -> None:
        """Take others in place of all, one for one."""
        top = len(self.imports)
        self.groups = {
            id(new): self.groups[id(old)]
            for old, new in zip(self.rest, statements[top:], strict=True)
        }
        self.imports, self.rest = list(statements[:top]), list(statements[top:])


def arranged(selection: Selection, findings: Messages) -> Arranged:
    """Put the statements in order."""
    ordered = _needed_first(selection, findings)
    found = Arranged()
    for statement, early in _parted(ordered):
        (found.imports if early else found.rest).append(statement)
    reads = Reads(found.rest)
    found.groups = _groups(found, reads)
    found.rest = _sorted(found.rest, found.groups, reads)
    return found


def _needed_first(selection: Selection, findings: Messages) -> list[Statement]:
    """The notebook's order, with what a statement needs at once before it."""
    done: dict[int, Statement] = {}
    under_way: set[int] = set()
    mine = {id(s) for s in selection.statements}

    def put(statement: Statement) -> None:
        if id(statement) in done or id(statement) in under_way:
            return
        under_way.add(id(statement))
        for name in sorted(statement.names.now | statement.names.soft | statement.names.perhaps):
            known = [s for s in selection.binders.get(name, ()) if id(s) in mine]
            if any(id(s) in done for s in known):
                continue
            for binder in known:
                below = name in statement.names.now and binder.cell > statement.cell
                if (
                    below
                    and binder.run > statement.run
                    and not binder.is_import
                    and not binder.is_block
                ):
                    findings.warn(_moved(binder, statement, name))
                put(binder)
        done[id(statement)] = statement

    for statement in selection.statements:
        put(statement)
    return list(done.values())


def _moved(binder: Statement, statement: Statement, name: str) -> str:
    return (
        f"{binder.where()} sets {name!r} below {statement.where()}, which needs it at once; "
        "in the program it stands first"
    )


def _parted(statements: Sequence[Statement]) -> Iterator[tuple[Statement, bool]]:
    """Each statement, and whether it is an import that can stand at the top.

    After a statement that changes where modules are found (`sys.path.insert(…)`), imports of other
    people's modules stay behind it; so does one whose name is bound a second time.
    """
    others = {n for s in statements if not s.is_import for n in s.names.bound}
    changed = False
    for statement in statements:
        free = not changed or _is_standard(statement.node)
        early = statement.is_import and free and not statement.names.bound & others
        yield statement, early or _is_future(statement.node)
        changed = changed or _changes_imports(statement)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _is_standard(node: ast.stmt) -> bool:
    modules = (
        [alias.name for alias in node.names]
        if isinstance(node, ast.Import)
        else [node.module or ""]
        if isinstance(node, ast.ImportFrom) and not node.level
        else [""]
    )
    return all(name.partition(".")[0] in sys.stdlib_module_names for name in modules)


def _changes_imports(statement: Statement) -> bool:
    return bool(_FINDERS & {*statement.changes, statement.calls})


def _groups(found: Arranged, reads: Reads) -> dict[int, int]:
    """Where each statement belongs; a type does if all that it is made from are types."""
    bound: dict[str, int] = {}
    for statement in found.rest:
        for name in (*statement.names.bound, *statement.changes):
            bound[name] = bound.get(name, 0) + 1
    imported = {name for s in found.imports for name in s.names.bound}
    known = _BUILTINS | imported
    late = any(statement.is_import for statement in found.rest)
    groups: dict[int, int] = {}
    for statement in found.rest:
        needed = reads.of(statement) - statement.names.bound
        single = all(bound[name] == 1 for name in statement.names.bound)
        calls = not statement.is_block and APP in needed
        if statement.declares or calls or APP in statement.decorator_roots:
            groups[id(statement)] = DECLARATIONS
        elif statement.is_import or (late and _changes_imports(statement)):
            groups[id(statement)] = SEARCH
        elif _is_type(statement.node) and single and needed <= known:
            groups[id(statement)] = TYPES
            known |= statement.names.bound
        else:
            groups[id(statement)] = SETUP
    return _followed(found.rest, groups, reads)


def _followed(
    statements: Sequence[Statement], groups: Mapping[int, int], reads: Reads
) -> dict[int, int]:
    """What needs a declaration at once stands among the declarations."""
    made = dict(groups)
    declared: set[str] = set()
    for statement in statements:
        names = statement.decorator_roots | statement.changes
        if made[id(statement)] == SETUP and (names | reads.of(statement)) & declared:
            made[id(statement)] = DECLARATIONS
        if made[id(statement)] == DECLARATIONS:
            declared |= statement.names.bound
    return made


def _is_type(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) or type(node).__name__ == "TypeAlias"


def _sorted(
    statements: Sequence[Statement], groups: Mapping[int, int], reads: Reads
) -> list[Statement]:
    """By group, then as they are, as far as their names allow it."""
    after = _constraints(statements, reads)
    waits = {at: len(before) for at, before in enumerate(after)}
    follows: dict[int, list[int]] = {}
    for at, before in enumerate(after):
        for one in before:
            follows.setdefault(one, []).append(at)
    ready = [(groups[id(statements[at])], at) for at, count in waits.items() if not count]
    heapq.heapify(ready)
    found: list[Statement] = []
    while ready:
        _, at = heapq.heappop(ready)
        found.append(statements[at])
        for one in follows.get(at, ()):
            waits[one] -= 1
            if not waits[one]:
                heapq.heappush(ready, (groups[id(statements[one])], one))
    return found


def _constraints(statements: Sequence[Statement], reads: Reads) -> list[set[int]]:
    """For each statement, which ones before it must stay before it."""
    written: dict[str, int] = {}
    read_since: dict[str, list[int]] = {}
    found: list[set[int]] = []
    for at, statement in enumerate(statements):
        reading, writing = _touched(statement, reads)
        before = {written[name] for name in reading | writing if name in written}
        for name in writing:
            before.update(read_since.pop(name, ()))
            written[name] = at
        for name in reading - writing:
            read_since.setdefault(name, []).append(at)
        before.discard(at)
        found.append(before)
    return found


def _touched(statement: Statement, reads: Reads) -> tuple[frozenset[str], frozenset[str]]:
    """The names that it reads when it runs, and those that it sets or changes."""
    writing = statement.names.bound | (statement.changes - {APP})
    calls = statement.calls
    writing |= {calls} - {"", APP}
    reading = reads.of(statement)
    if _changes_imports(statement):
        writing |= {_FOUND}
    elif statement.is_import:
        reading |= {_FOUND}
    return reading, writing


def resorted(found: Arranged, groups: Mapping[int, int]) -> list[Statement]:
    """The statements that are no imports at the top, in order by other groups."""
    return _sorted(found.rest, groups, Reads(found.rest))
