"""Modules that lie beside the notebook, which the program imports: copied, with what they import.

Found by their files, never imported. A module is known by the folder of the notebook (of the
kernel, where there is no file), and by folders that the program itself adds to `sys.path` by a
relative name. Installed packages, ours included, are none, wherever their files are.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildflow_nb.export.cells.pieces import lines_of
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.code.imported import Imported, imported_by
from buildflow_nb.export.code.imports import OURS, ours
from buildflow_nb.export.code.module_source import beside
from buildflow_nb.export.code.tidy import tidied
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.report import Import
from buildflow_nb.export.secrets.environment import Secrets

__all__ = ("Neighbours", "search_roots")

_OURS = "buildflow_nb"
_MOST = 200  # modules; more of them are a project of its own, to be installed
_LARGEST = 1_000_000  # bytes of one


@dataclass(slots=True)
class Neighbours:
    """Copies by their path in the export, and what else they and the program import."""

    roots: Sequence[Path]
    findings: Messages
    secrets: Secrets
    modules: dict[str, str] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    def follow(self, imported: Sequence[Imported]) -> None:
        """Take in what is imported, and what that imports."""
        for one in imported:
            top = one.module.partition(".")[0]
            if top in sys.stdlib_module_names:
                continue
            found = list(self._files(one.full)) if top != _OURS else []
            if found:
                for file, module in found:
                    self._take(file, module, one)
            elif not one.guarded or one.there:
                self.imports.setdefault(one.installed, Import(one.installed, one.where))

    def _files(self, module: str) -> Iterator[tuple[Path, str]]:
        """The module's own file, and those of the packages that it is in."""
        for root in self.roots:
            parts = module.split(".")
            while parts and beside(".".join(parts), [root]) is None:
                parts.pop()  # what is left over is a name in the module
            if not parts:
                continue
            for end in range(1, len(parts) + 1):
                name = ".".join(parts[:end])
                file = beside(name, [root])
                if file is not None:
                    yield file, name
            return

    def _take(self, file: Path, module: str, by: Imported) -> None:
        if file in self._seen:
            return
        self._seen.add(file)
        name = file.relative_to(self.roots[0]).as_posix()
        if name == "main.py":
            self.findings.refuse(
                f"{by.where}: the module main beside the notebook has the name of the program; "
                "rename it"
            )
            return
        if len(self.modules) >= _MOST:
            self.findings.refuse(f"more than {_MOST} modules lie beside the notebook; install them")
            return
        try:
            if file.stat().st_size > _LARGEST:
                msg = f"{by.where}: {name} is larger than {_LARGEST:,} bytes, so it is not copied"
                self.findings.refuse(f"{msg}; install it")
                return
            text = file.read_text(encoding="utf-8-sig")
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError) as error:
            self.findings.refuse(f"{by.where}: {name} cannot be read as a module: {error}")
            return
        text = self.secrets.out_of_module(with_our_name(text, tree), name)
        self.modules[name] = tidied(text)
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        self.follow(imported_by(tree, lambda node: f"{name} line {node.lineno}", package))


def search_roots(folder: Path, statements: Sequence[Statement]) -> list[Path]:
    """The notebook's folder, and those inside it that the program adds to `sys.path`."""
    roots = [folder.resolve()]
    added = (s.search_path for s in statements if s.search_path is not None)
    for path in ((folder / text).resolve() for text in added):
        if path.is_dir() and path.is_relative_to(roots[0]) and path not in roots:
            roots.append(path)
    return roots


# BuildFlow's own name in a module that is copied: it is ours, where this package answers to it.
# A notebook's kernel answers `from buildflow.io.local import File` by this package; a program
# that is started by itself has nobody who does. The cells' own imports are written anew anyway.

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
