r"""Paths in a program that mean something on this machine alone, or beside the notebook alone.

A text is taken for a path of this machine if it begins like one (`/home/…`, `C:\\…`, `~/…`), if it
is there, or if it is absolute and names a file with an ending; routes of HTTP begin with a slash,
too, so the texts of declarations and of routers do not count. Nothing is read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.messages import Messages

__all__ = ("say_local_paths",)

_ROOTS = frozenset(
    ("home", "Users", "tmp", "var", "mnt", "opt", "srv", "root", "media", "Volumes", "private")
) | frozenset(("content", "workspace", "kaggle", "dbfs"))  # of notebooks in the cloud
_ROUTED = frozenset(("endpoint", "collector", "service", "get", "post", "route", "add_endpoint"))
_LONGEST = 1_024


def say_local_paths(statements: Sequence[Statement], folder: Path, findings: Messages) -> None:
    """Warn of them, by cell and line."""
    for statement in statements:
        for node, text in _texts(statement.parts):
            where = statement.where(node)
            if _is_absolute(text):
                findings.warn(
                    f"{where}: {text!r} is a path of this machine; use one that is relative to the "
                    "project, or read it from the environment"
                )
            elif _is_beside(text, folder):
                findings.warn(
                    f"{where}: {text!r} lies beside the notebook; the program looks for it in the "
                    "folder in which it is started, so copy it there"
                )


def _texts(nodes: Sequence[ast.AST]) -> Iterator[tuple[ast.Constant, str]]:
    passed = _routes(nodes)
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))  # a docstring
        elif isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values[1:]}
    for node in nodes:
        text = node.value if isinstance(node, ast.Constant) and id(node) not in passed else None
        short = isinstance(text, str) and 1 < len(text) <= _LONGEST and text.isprintable()
        if isinstance(node, ast.Constant) and isinstance(text, str) and short:
            yield node, text


def _routes(nodes: Sequence[ast.AST]) -> set[int]:
    found: set[int] = set()
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in _ROUTED and node.args:
            found.add(id(node.args[0]))
        found |= {id(word.value) for word in node.keywords if word.arg in ("route", "base_route")}
    return found


def _is_absolute(text: str) -> bool:
    if text.startswith(("~/", "file:///")):
        return True
    if len(text) > 2 and text[0].isalpha() and text[0].isascii() and text[1:3] in (":\\", ":/"):  # noqa: PLR2004
        return True
    if text.startswith("\\\\"):
        return len(text) > 3 and text[2].isalnum()  # noqa: PLR2004  (a share of Windows)
    if not text.startswith("/") or text.startswith("//"):
        return False
    parts = PurePosixPath(text).parts[1:]
    if len(parts) > 1 and parts[0] in _ROOTS:
        return True
    return len(parts) > 1 and (bool(PurePosixPath(text).suffix) or _exists(Path(text)))


def _is_beside(text: str, folder: Path) -> bool:
    if text.startswith(("/", ".")) and not text.startswith(("./", "../")):
        return False
    try:
        return (folder / text).is_file()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
