"""Finds the source of a module without importing it, so that nothing is run to look at it.

A module is looked for beside the notebook first, then among what is installed, by the finders of
this Python. Their parents are not imported either, as `importlib.util.find_spec` would do.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

__all__ = ("beside", "is_there", "public_names")

_DEEPEST = 8  # star imports that lead to star imports


def beside(module: str, roots: Sequence[Path]) -> Path | None:
    """The file of a module in one of these folders: `lib/rates.py` or `lib/rates/__init__.py`."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for root in roots:
        path = root.joinpath(*parts)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


def is_there(module: str) -> bool:
    """Whether this Python would find a module, beyond what stands beside the notebook."""
    return module in sys.modules or _spec(module) is not None


def public_names(module: str, roots: Sequence[Path]) -> frozenset[str] | None:
    """What `from module import *` brings; None where only running it would tell."""
    found = _public(module, roots, 0)
    if found is not None:
        return found
    return _of_loaded(module)


def _spec(module: str) -> ModuleSpec | None:
    path: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = _found(".".join(parts[:end]), path)
        if spec is None or (
            spec.origin and not spec.submodule_search_locations and end < len(parts)
        ):
            return None
        # The list that a namespace has by itself needs its parents to be imported.
        path = list(spec.submodule_search_locations or ()) if spec.origin else _places(spec, path)
    return spec


def _found(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    try:
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        return next((one for one in found if one is not None), None)
    except KeyError:  # a namespace inside of one that is not imported
        spec = ModuleSpec(name, None)
        return spec if _places(spec, path) else None
    except (ImportError, AttributeError, ValueError, OSError):
        return None


def _places(spec: ModuleSpec, path: Sequence[str] | None) -> list[str]:
    """The folders of a namespace."""
    name = spec.name.rpartition(".")[2]
    folders = [Path(entry) / name for entry in (sys.path if path is None else path)]
    return [str(folder) for folder in folders if folder.is_dir()]


def _public(module: str, roots: Sequence[Path], depth: int) -> frozenset[str] | None:
    if depth > _DEEPEST:
        return None
    file = beside(module, roots)
    if file is None:
        spec = _spec(module)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return _of_standard(module) if spec is not None else None
        file = Path(spec.origin)
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    listed = _listed(tree)
    if listed is not None:
        return listed
    names: set[str] = set()
    for node in _top_level(tree.body):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            names |= _public(_absolute(node, package), roots, depth + 1) or frozenset()
        else:
            names |= set(_bound(node))
    return frozenset(name for name in names if not name.startswith("_"))


def _of_standard(module: str) -> frozenset[str] | None:
    """Modules of the standard library that are no Python: to import those runs nobody's code."""
    if module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    importlib.import_module(module)
    return _of_loaded(module)


def _of_loaded(module: str) -> frozenset[str] | None:
    loaded = sys.modules.get(module)
    if loaded is None:
        return None
    public = [name for name in vars(loaded) if not name.startswith("_")]
    return frozenset(map(str, getattr(loaded, "__all__", public)))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _listed(tree: ast.Module) -> frozenset[str] | None:
    """`__all__`, where it is written out as a list of texts and nowhere changed."""
    found: frozenset[str] | None = None
    for node in _top_level(tree.body):
        target = None
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)) and node.value is not None:
            target, value = node.target, node.value
        if not isinstance(target, ast.Name) or target.id != "__all__":
            continue
        try:
            names = ast.literal_eval(value)
        except ValueError:
            return None
        found = (found or frozenset()) | frozenset(map(str, names))
    return found


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _top_level(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _top_level(handler.body)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0]
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.For, ast.With)):
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id
