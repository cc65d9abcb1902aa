"""What code imports, and whether it can do without: inside `try: … except ImportError`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from buildflow_nb.export.code.module_source import is_there

__all__ = ("Imported", "imported_by")

_ABSENCE = frozenset(("ImportError", "ModuleNotFoundError", "Exception"))


@dataclass(frozen=True, slots=True)
class Imported:
    """A module by its full name; `guarded` means that the code does without it as well.

    `member` is the name that is taken from it, which may be a module itself.
    """

    module: str
    where: str
    guarded: bool = False
    member: str = ""

    @property
    def full(self) -> str:
        """The module with the member."""
        return f"{self.module}.{self.member}" if self.member else self.module

    @property
    def installed(self) -> str:
        """The longest name that is one of a module of this Python."""
        return self.full if self.member and is_there(self.full) else self.module

    @property
    def there(self) -> bool:
        """Whether this Python has it."""
        return is_there(self.module)


def imported_by(
    tree: ast.AST, where: Callable[[ast.stmt], str], package: str = ""
) -> list[Imported]:
    """All imports in a tree, those in functions included."""
    found: list[Imported] = []
    left = [(tree, False)]  # a list of its own, since trees may be deep
    while left:
        node, guarded = left.pop()
        if isinstance(node, ast.Import):
            found += [Imported(alias.name, where(node), guarded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [
                Imported(module, where(node), guarded, member)
                for module, member in _named(node, package)
            ]
        left += reversed(list(_inside(node, guarded=guarded)))
    return found


def _inside(tree: ast.AST, *, guarded: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The nodes in a node, and whether an import there may fail."""
    for field, value in ast.iter_fields(tree):
        safe = guarded or (field == "body" and _is_guard(tree))
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                yield node, safe


def _is_guard(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
        return name == "TYPE_CHECKING"
    if not isinstance(node, ast.Try):
        return False
    caught = [part for handler in node.handlers for part in _caught(handler)]
    return bool(_ABSENCE & set(caught))


def _caught(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["Exception"]
    return [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)]


def _named(node: ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """The module, with each name that is taken from it."""
    module = node.module or ""
    if node.level:
        parts = package.split(".")
        above = parts[: len(parts) - node.level + 1]
        module = ".".join([*above, *([module] if module else [])])
    for alias in node.names:
        yield module, "" if alias.name == "*" else alias.name
