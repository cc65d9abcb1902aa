"""The imports of a program: each name once, none that nothing uses, sorted as isort and ruff do."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

__all__ = ("OURS", "import_block", "is_our_flow")

OURS, _THEIRS = "buildflow_nb", "buildflow"
_WIDTH = 88  # of a line, in Black and in ruff
_FUTURE = "__future__"

# Module ("" for `import x`), name and other name of one thing that is imported.
_Import = tuple[str, str, str]


def import_block(nodes: Iterable[ast.stmt], wanted: Iterable[str]) -> str:
    """Write imports anew, of the wanted names alone."""
    names = frozenset(wanted)
    found = {one for node in nodes for one in _imports(node) if _is_wanted(one, names)}
    groups = [
        "\n".join(_lines(list(group)))
        for _, group in groupby(sorted(found, key=_order), key=lambda one: _order(one)[0])
    ]
    return "\n\n".join(groups)


def is_our_flow(node: ast.stmt) -> bool:
    """Whether it binds `Flow` to this package's."""
    return any(one == (OURS, "Flow", "") for one in _imports(node))


def _imports(node: ast.stmt) -> Iterator[_Import]:
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + _ours(node.module or "")
        yield from ((module, alias.name, alias.asname or "") for alias in node.names)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            name = _ours(alias.name)
            renamed = name != alias.name and "." not in name  # import buildflow_nb as buildflow
            yield "", name, alias.asname or (alias.name if renamed else "")


def _is_wanted(one: _Import, wanted: frozenset[str]) -> bool:
    module, name, other = one
    bound = other or (name if module else name.partition(".")[0])
    return name == "*" or module == _FUTURE or bound in wanted


def _order(one: _Import) -> tuple[object, ...]:
    module, name, other = one
    path = module or name
    head = path.partition(".")[0]
    standard = 1 if head in sys.stdlib_module_names else 3 if path.startswith(".") else 2
    group = 0 if module == _FUTURE else standard
    return group, bool(module), path.lower(), path, bool(other), _kind(name), name.lower(), name


def _kind(name: str) -> int:
    """Constants first, then classes, then the rest."""
    return 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2


def _lines(group: list[_Import]) -> Iterator[str]:
    """One line for each module, but for each name of its own where it gets another name."""
    for key, same in groupby(group, key=lambda one: (one[0], bool(one[2]) or one[1] == "*")):
        module, single = key
        names = [f"{name} as {other}" if other else name for _, name, other in same]
        if not module:
            yield from (f"import {name}" for name in names)
        elif single:
            yield from (f"from {module} import {name}" for name in names)
        else:
            line = f"from {module} import {', '.join(names)}"
            wide = "".join(f"    {name},\n" for name in names)
            yield line if len(line) <= _WIDTH else f"from {module} import (\n{wide})"


def _ours(module: str) -> str:
    """BuildFlow's own names are ours only while this package answers to them: in a notebook."""
    head, dot, rest = module.partition(".")
    return f"{OURS}{dot}{rest}" if head == _THEIRS and _answers() else module


def _answers() -> bool:
    """Whether `import buildflow` means this package here, since BuildFlow is not installed."""
    found = importlib.util.find_spec(_THEIRS)
    loader = "" if found is None else type(found.loader).__module__.partition(".")[0]
    return found is None or OURS in (found.name, loader)
