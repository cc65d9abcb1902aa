"""A program as a package: a thin main.py, and modules for types, for set-up and for declarations.

`main:app` stays the entry point. A statement goes no earlier than what it uses, also from within
its functions, so no two modules import each other; and a name that a function sets by `global`
stays in one module with all who use it, since an imported name would keep its first value.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from buildflow_nb.export.cells.statement import APP, Statement
from buildflow_nb.export.code.arranging import DECLARATIONS, Arranged, resorted
from buildflow_nb.export.code.program import RUN, Outline, docstring, made_flow, module_text

__all__ = ("package_name", "package_texts")

_MODULES = ("types", "primitives", "processors")  # by group
_WHAT = (
    "The types of what goes through the flow.",
    "What the flow reads, writes and works with.",
    "The flow: its resources, processors and routes.",
)
_TAKEN = frozenset(("main", "tests", "test", "buildflow", "buildflow_nb"))


def package_name(project: str, taken: Iterable[str]) -> str:
    """A name for the package, which no other module of the program has."""
    plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in project.lower()).strip("_")
    plain = "_".join(part for part in plain.split("_") if part) or "flow"
    name = f"flow_{plain}" if plain[0].isdigit() else plain
    used = _TAKEN | set(taken) | sys.stdlib_module_names
    return f"{name}_flow" if keyword.iskeyword(name) or name in used else name


def package_texts(arranged: Arranged, outline: Outline, name: str) -> dict[str, str]:
    """The modules of a program, by path."""
    rest, homes = _settled(arranged)
    made = made_flow([*arranged.imports, *rest])
    texts = {
        "main.py": "\n\n".join(
            (docstring(outline.title), f"from {name}.{_MODULES[-1]} import {APP}", f"{RUN}\n")
        ),
        f"{name}/__init__.py": f"{docstring(outline.title)}\n",
    }
    for group, module in enumerate(_MODULES):
        mine = [s for s in rest if homes[id(s)] == group]
        if not mine and group != DECLARATIONS:
            continue
        own = made if group == DECLARATIONS else None
        more = (*_from_others(mine, rest, homes, f"{name}."), *_needed(outline, mine))
        part = Arranged(arranged.imports, mine, homes)
        text = module_text(part, replace(outline, more=more), own)
        texts[f"{name}/{module}.py"] = f'"""{_WHAT[group]}"""\n\n{text}\n'
    return texts


def _needed(outline: Outline, statements: Sequence[Statement]) -> list[str]:
    """What export itself uses, where this module uses it."""
    wanted = {name for s in statements for name in s.names.wanted}
    return [line for line in outline.more if line.split()[-1] in wanted]


def _settled(arranged: Arranged) -> tuple[list[Statement], dict[int, int]]:
    """The order, and the module of each statement, by its group."""
    groups = dict(arranged.groups)
    while True:
        groups = _grouped(arranged, groups)
        rest = resorted(arranged, groups)
        homes = _homes(rest, groups)
        if all(homes[key] == max(group, 0) for key, group in groups.items()):
            return rest, homes
        groups = homes


def _grouped(arranged: Arranged, before: Mapping[int, int]) -> dict[int, int]:
    """Groups in which every statement finds what it uses in its own one or an earlier one."""
    groups = dict(before)
    rebound = {name for s in arranged.rest for name in s.names.rebinds}
    for statement in arranged.rest:
        names = statement.names
        if (names.bound | names.wanted | names.rebinds) & rebound:
            groups[id(statement)] = DECLARATIONS
    changed = True
    while changed:
        changed = False
        binding: dict[str, int] = {APP: DECLARATIONS}
        for s in arranged.rest:
            for name in s.names.bound:
                binding[name] = max(groups[id(s)], binding.get(name, 0))
        for s in arranged.rest:
            used = s.names.wanted | s.names.bound | s.changes
            least = max((binding[name] for name in used if name in binding), default=0)
            if least > groups[id(s)]:
                groups[id(s)], changed = least, True
    return groups


def _homes(rest: Sequence[Statement], groups: Mapping[int, int]) -> dict[int, int]:
    """The module of each; never one before that of a statement that stands above."""
    homes: dict[int, int] = {}
    least = 0
    for statement in rest:
        least = max(least, groups[id(statement)])
        homes[id(statement)] = least
    return homes


def _from_others(
    mine: Sequence[Statement],
    rest: Sequence[Statement],
    homes: Mapping[int, int],
    package: str,
) -> list[str]:
    wanted = {n for s in mine for n in s.names.wanted}
    owned = {n for s in mine for n in s.names.bound}
    lines: list[str] = []
    for other, module in enumerate(_MODULES):
        bound = {n for s in rest if homes[id(s)] == other for n in s.names.bound}
        needed = sorted((bound & wanted) - owned)
        if needed:
            lines.append(f"from {package}{module} import {', '.join(needed)}")
    return lines
