"""What completes a word in a shell: nothing of the project is run, and nothing is asked of a cloud.

Stacks are read from buildflow.yaml, processors from the syntax trees of the project's files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buildflow_nb.commands.command import Option
from buildflow_nb.core.errors import ConfigError

__all__ = ("completed", "processors_in")

KINDS = ("consumer", "collector", "endpoint")
MOST_FILES = 200  # a key was pressed: a person waits
MOST_BYTES = 1_000_000
_NOT_OURS = ("venv", "node_modules", "build", "dist")

Complete = Callable[[Any, list[str], str], list[str]]


def completed(option: Option) -> Complete:
    """The function that Typer asks for what may be typed."""

    def offer(ctx: object, args: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
        return [word for word in _words(option, incomplete) if word.startswith(incomplete)]

    return offer


def _words(option: Option, begun: str) -> list[str]:
    if option.choices:
        return list(option.choices)
    if option.wants == "stack":
        return _stacks()
    if option.wants == "processor":
        return list(dict.fromkeys(processors_in(Path.cwd())))
    if option.wants == "topic":
        from buildflow_nb.cli.table import TERMINAL

        return list(TERMINAL)
    return list(_paths(begun, folders_only=option.wants == "folder"))


def _stacks() -> list[str]:
    from buildflow_nb.core.config import find_config

    try:
        return list(find_config(Path.cwd()).stacks)
    except ConfigError:
        return []


def processors_in(folder: Path) -> Iterator[str]:
    """Names of the functions below a folder that are declared as processors."""
    for number, path in enumerate(_sources(folder)):
        if number == MOST_FILES:
            return
        try:
            if path.stat().st_size > MOST_BYTES:
                continue
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and any(
                _declares(decorator) for decorator in node.decorator_list
            ):
                yield node.name


def _declares(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in KINDS


def _sources(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.py"))
    for inner in sorted(folder.iterdir()):
        if inner.name not in _NOT_OURS and not inner.name.startswith(".") and _is_code(inner):
            yield from _sources(inner)


def _is_code(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not (folder / "pyvenv.cfg").exists()


def _paths(begun: str, *, folders_only: bool) -> Iterator[str]:
    typed, _, _ = begun.rpartition("/")
    base = Path(f"{typed}/" if begun.startswith("/") else typed or ".").expanduser()
    try:
        found = sorted(base.iterdir())
    except OSError:
        return
    for path in found:
        shown = f"{typed}/{path.name}" if "/" in begun else path.name
        if path.is_dir():
            yield f"{shown}/"
        elif not folders_only:
            yield shown
