"""BuildFlow's own name in a module that is copied: it is ours, where this package answers to it.

A notebook's kernel answers `from buildflow.io.local import File` by this package; a program that is
started by itself has nobody who does. The cells' own imports are written anew anyway.
"""

from __future__ import annotations

import ast

from buildflow_nb.export.cells.pieces import lines_of
from buildflow_nb.export.code.imports import OURS, ours

__all__ = ("with_our_name",)

_THEIRS = "buildflow"


def with_our_name(text: str, tree: ast.Module) -> str:
    """The same module with imports that name this package."""
    rows = lines_of(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            rows[node.lineno - 1] = _swapped(rows[node.lineno - 1], f"from {module}", ours(module))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                new, row = ours(alias.name), alias.lineno - 1
                if new != alias.name:
                    both = f"{new}, {OURS} as {_THEIRS}" if "." in new else f"{new} as {_THEIRS}"
                    rows[row] = rows[row].replace(alias.name, new if alias.asname else both, 1)
    return "\n".join(rows)


def _swapped(row: str, old: str, module: str) -> str:
    return row.replace(old, f"from {module}", 1)
