"""The imports of a program: each name once, none that nothing uses, sorted as isort and ruff do.

Comments stay with what they are about. What `from module import *` is used for is written out.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from buildflow_nb.export.cells.layout import WIDTH
from buildflow_nb.export.cells.statement import Statement

__all__ = ("OURS", "Imports", "is_our_flow", "ours")

OURS, _THEIRS = "buildflow_nb", "buildflow"
_FUTURE = "__future__"


@dataclass(frozen=True, slots=True)
class _Import:
    """Module ("" for `import x`), name and other name of one thing that is imported."""

    module: str
    name: str
    other: str
    above: tuple[str, ...] = ()
    beside: str = ""
    stands_for: str = ""  # the name that code uses, where export changed it

    @property
    def bound(self) -> str:
        if self.stands_for or self.other:
            return self.stands_for or self.other
        return self.name if self.module else self.name.partition(".")[0]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.module, self.name, self.other

    @property
    def shown(self) -> str:
        return f"{self.name} as {self.other}" if self.other else self.name


@dataclass(frozen=True, slots=True)
class Imports:
    """Writes imports: `local` modules stand in the project, `installed` ones do not.

    `stars` are the names that `from module import *` brings, by the module.
    """

    local: frozenset[str] = frozenset()
    stars: Mapping[str, frozenset[str]] | None = None
    installed: frozenset[str] = frozenset()

    def block(
        self, statements: Iterable[Statement], wanted: Iterable[str], more: Sequence[str] = ()
    ) -> str:
        """The imports of the wanted names alone, and `more` lines of imports."""
        names = frozenset(wanted)
        found: dict[tuple[str, str, str], _Import] = {}
        for statement in statements:
            for one in self._wanted(statement, names):
                found[one.key] = _merged(found[one.key], one) if one.key in found else one
        for node in (node for line in more for node in ast.parse(line).body):
            for one in _plain(node):
                found.setdefault(one.key, one)
        ordered = sorted(found.values(), key=self._order)
        groups = groupby(ordered, key=lambda one: self._order(one)[0])
        return "\n\n".join("\n".join(_lines(list(group))) for _, group in groups)

    def needed(self, statement: Statement, wanted: Iterable[str]) -> ast.stmt:
        """The import without names that nothing wants."""
        node, names = statement.node, frozenset(wanted)
        if isinstance(node, ast.Import):
            kept = [a for a in node.names if (a.asname or a.name).partition(".")[0] in names]
            return ast.copy_location(ast.Import(kept), node)
        if isinstance(node, ast.ImportFrom) and node.names[0].name != "*":
            kept = [a for a in node.names if (a.asname or a.name) in names]
            return ast.copy_location(ast.ImportFrom(node.module, kept, node.level), node)
        return node

    def _wanted(self, statement: Statement, wanted: frozenset[str]) -> Iterator[_Import]:
        above = tuple(line for line in statement.above if line)
        for one in _commented(statement):
            module, name, _ = one.key
            if name == "*" and self.stars and module in self.stars:
                brought = [_Import(module, n, "") for n in sorted(self.stars[module] & wanted)]
                yield from [replace(b, above=above if not i else ()) for i, b in enumerate(brought)]
                above = ()
            elif name == "*" or module == _FUTURE or one.bound in wanted:
                yield replace(one, above=(*above, *one.above))
                above = ()

    def _order(self, one: _Import) -> tuple[object, ...]:
        module, name, other = one.key
        path = module or name
        head = path.partition(".")[0]
        group = 2
        if module == _FUTURE:
            group = 0
        elif head in sys.stdlib_module_names:
            group = 1
        elif path.startswith(".") or head in self.local:
            group = 4 if path.startswith(".") else 3
        kind = (_kind(name), name.lower(), name)
        return group, bool(module), path.lower(), path, bool(other), *kind


def is_our_flow(node: ast.stmt) -> bool:
    """Whether it binds `Flow` to this package's."""
    return any(one.key == (OURS, "Flow", "") for one in _plain(node))


def ours(module: str) -> str:
    """BuildFlow's own names are ours only while this package answers to them: in a notebook."""
    head, dot, rest = module.partition(".")
    return f"{OURS}{dot}{rest}" if head == _THEIRS and _answers() else module


def _plain(node: ast.stmt) -> Iterator[_Import]:
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + ours(node.module or "")
        for alias in node.names:
            yield _Import(
                module, alias.name, "" if alias.asname == alias.name else alias.asname or ""
            )
    elif isinstance(node, ast.Import):
        for alias in node.names:
            name = ours(alias.name)
            above, _, last = name.rpartition(".")
            if above and alias.asname == last:  # import os.path as path
                yield _Import(above, last, "")
                continue
            if name == alias.name or alias.asname:
                yield _Import("", name, "" if alias.asname == name else alias.asname or "")
                continue
            yield _Import("", OURS, _THEIRS)
            if "." in name:
                yield _Import("", name, "", stands_for=_THEIRS)


def _commented(statement: Statement) -> Iterator[_Import]:
    """The things that it imports, each with its comment; others go above the first."""
    found = list(_plain(statement.node))
    if "#" not in statement.code:
        yield from found
        return
    comments = dict(_comments(statement.code))
    (node,) = ast.parse(statement.code).body
    aliases = node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []
    if len(found) != len(aliases) or (len(aliases) > 1 and node.lineno == node.end_lineno):
        yield replace(found[0], above=tuple(comments.values()))
        yield from found[1:]
        return
    rows = [alias.end_lineno or alias.lineno for alias in aliases]
    loose = tuple(text for row, text in comments.items() if row not in rows)
    for at, (one, row) in enumerate(zip(found, rows, strict=True)):
        beside = comments.pop(row, "")
        yield replace(one, beside=beside, above=loose if at == 0 else ())


def _comments(code: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _merged(one: _Import, other: _Import) -> _Import:
    above = tuple(dict.fromkeys((*one.above, *other.above)))
    return replace(one, above=above, beside=one.beside or other.beside)


def _kind(name: str) -> int:
    """Constants first, then classes, then the rest."""
    return 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2


def _lines(group: list[_Import]) -> Iterator[str]:
    """One line for each module, but for each name of its own where it gets another name."""
    first = True
    for key, same in groupby(
        group, key=lambda one: (one.module, bool(one.other) or one.name == "*")
    ):
        module, single = key
        them = list(same)
        lone = single or not module
        for part in [[one] for one in them] if lone else [them]:
            above = list(dict.fromkeys(line for one in part for line in one.above))
            yield from ["", *above] if above and not first else above
            first = False
            if lone:
                one = part[0]
                start = f"from {module} import" if module else "import"
                yield _beside(f"{start} {one.shown}", one)
            else:
                yield from _from(module, part)


def _from(module: str, them: list[_Import]) -> Iterator[str]:
    line = f"from {module} import {', '.join(one.shown for one in them)}"
    wide = "".join(f"{_beside(f'    {one.shown},', one)}\n" for one in them)
    if len(them) == 1 and len(_beside(line, them[0])) <= WIDTH:
        yield _beside(line, them[0])
    elif len(line) <= WIDTH and not any(one.beside for one in them):
        yield line
    else:
        yield f"from {module} import (\n{wide})"


def _beside(line: str, one: _Import) -> str:
    return f"{line}  {one.beside}" if one.beside else line


def _answers() -> bool:
    """Whether `import buildflow` means this package here, since BuildFlow is not installed."""
    found = importlib.util.find_spec(_THEIRS)
    loader = "" if found is None else type(found.loader).__module__.partition(".")[0]
    return found is None or OURS in (found.name, loader)
