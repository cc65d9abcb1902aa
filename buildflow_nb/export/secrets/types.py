"""Which processors take inputs with secrets, by the text of a program alone.

A recording says whether its processor's type had secrets when it was made; a field may have been
marked since. A type has secrets if a name of a secret type stands in what defines it, or in what
defines a name that stands there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

__all__ = ("takes_secrets",)

_SECRET = frozenset({"Secret", "SecretStr", "SecretBytes"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def takes_secrets(modules: Mapping[str, str]) -> set[str]:
    """Names of functions and classes of which some parameter has a type with secrets."""
    uses: dict[str, set[str]] = {}
    takes: dict[str, set[str]] = {}
    for text in modules.values():
        for node in ast.parse(text).body:
            for name, used in _defined(node):
                uses.setdefault(name, set()).update(used)
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                takes.setdefault(node.name, set()).update(_annotations(node))
    return {name for name, used in takes.items() if _reached(used, uses) & _SECRET}


def _reached(names: set[str], uses: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ = list(names)
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_.extend(uses.get(name, ()))
    return found


def _defined(node: ast.stmt) -> Iterator[tuple[str, set[str]]]:
    """What a statement binds as a type, and the names that stand in it."""
    if isinstance(node, ast.ClassDef):
        yield node.name, _names(node)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, _names(node.value)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name, {alias.name.rpartition(".")[2]}
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, _names(node.value)
    elif isinstance(getattr(node, "name", None), ast.Name):  # `type X = …`, from Python 3.12 on
        yield node.name.id, _names(node)  # type: ignore[attr-defined]


def _annotations(node: ast.AST) -> set[str]:
    """The names in the annotations of a function's parameters, or of those of a class's methods."""
    found: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.arg) and one.annotation is not None:
            found |= _names(one.annotation)
    return found


def _names(node: ast.AST) -> set[str]:
    """Names and last names of attributes; those in annotations that are texts, too."""
    found: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.add(one.id)
        elif isinstance(one, ast.Attribute):
            found.add(one.attr)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            found |= _quoted(one.value)
    return found


def _quoted(text: str) -> set[str]:
    try:
        node = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
