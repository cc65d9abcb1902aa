"""What a notebook sets beside its names: the environment, and the folder in which it works.

Magics (`%env`, `%cd`) and calls (`os.environ[…] = …`, `os.chdir`) that stay behind leave no name
missing, and the program would run with other values or read other files without a word. So an
environment variable that the program names is refused, and told where nobody can see who reads it;
a changed folder is refused where the program has paths that are relative to it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.findings import Findings

__all__ = ("environment_of", "say_left_settings")

_ENV = ("env", "set_env")
_FOLDERS = ("cd", "pushd", "popd")
_DOTENV = ("dotenv", "load_dotenv")
_NAME = re.compile(r"\s*([A-Za-z_]\w*)(?:\s*=|\s+\S)")
_LONGEST_ENDING = 8  # of a file's name, with its dot


@dataclass(frozen=True, slots=True)
class _Set:
    """What one magic or call sets: variables by name (None: some, unknown), or the folder."""

    words: str
    variables: frozenset[str] | None = frozenset()
    folder: bool = False


def environment_of(statement: Statement) -> frozenset[str]:
    """The environment variables that a statement of Python sets, as far as it names them."""
    found = [one.variables or frozenset() for one in _calls(statement)]
    return frozenset().union(*found)


def say_left_settings(
    statements: Sequence[Statement], taken: Collection[int], findings: Findings
) -> None:
    """Refuse settings that stay behind, although those `taken` (by identity) need them."""
    program = [s for s in statements if id(s) in taken]
    texts = {text for s in program for text in _texts(s)}
    for at, statement in enumerate(statements):
        if id(statement) in taken:
            continue
        later = [s for s in statements[at + 1 :] if id(s) in taken]
        for one in (*_magics(statement), *_calls(statement)):
            if one.folder:
                _say_folder(statement, one, later, findings)
            else:
                _say_variables(statement, one, texts, findings)


def _say_variables(
    statement: Statement, one: _Set, texts: Collection[str], findings: Findings
) -> None:
    where = statement.where()
    if one.variables is None:
        findings.warn(
            f"{where}: {one.words} stays behind; set the environment where the program runs"
        )
        return
    for name in sorted(one.variables):
        if name in texts:
            findings.refuse(
                f"{where}: {one.words} sets {name}, which the flow reads, and a program has no "
                f"magics; write os.environ[{name!r}] = … in a cell that declares, or drop the line "
                "and set it where the program runs"
            )
        else:
            findings.warn(
                f"{where}: {one.words} stays behind; if the flow, or a library that it uses, reads "
                f"{name}, set it where the program runs"
            )


def _say_folder(
    statement: Statement, one: _Set, later: Sequence[Statement], findings: Findings
) -> None:
    relative = next((text for s in later for text in _texts(s) if _is_relative_path(text)), None)
    if relative is None:
        return
    findings.refuse(
        f"{statement.where()}: {one.words} changes the folder in which {relative!r} is looked for, "
        "and the program starts in the project's; write paths that begin there, and drop the line"
    )


def _magics(statement: Statement) -> Iterator[_Set]:
    for magic, line in statement.magics:
        if magic in _ENV:
            found = _NAME.match(line)
            if found:  # without a value it only shows one
                yield _Set(f"%{magic}", frozenset((found[1],)))
        elif magic in _FOLDERS:
            yield _Set(f"%{magic}", folder=True)
        elif magic in _DOTENV:
            yield _Set(f"%{magic}", None)


def _calls(statement: Statement) -> Iterator[_Set]:
    """Settings of a statement that runs when its cell does."""
    if statement.is_magic or statement.is_block:
        return
    for node in statement.at_once:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) == "os.environ":
                yield _Set("os.environ", _constant(node.slice))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("os.environ.setdefault", "os.putenv") and node.args:
                yield _Set(called, _constant(node.args[0]))
            elif called == "os.environ.update":
                yield _Set(called, _keys(node))
            elif called in ("load_dotenv", "dotenv.load_dotenv"):
                yield _Set(called, None)
            elif called in ("os.chdir", "chdir"):
                yield _Set(called, folder=True)


def _constant(node: ast.expr) -> frozenset[str] | None:
    known = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return frozenset((node.value,)) if known else None  # type: ignore[attr-defined]


def _keys(call: ast.Call) -> frozenset[str] | None:
    found = {word.arg for word in call.keywords if word.arg}
    for given in call.args:
        if not isinstance(given, ast.Dict):
            return None
        for key in given.keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            found.add(key.value)
    return frozenset(found)


def _texts(statement: Statement) -> Iterator[str]:
    for node in statement.parts:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_relative_path(text: str) -> bool:
    if text.startswith("/") or "://" in text or any(c.isspace() for c in text) or not text:
        return False
    ending = PurePosixPath(text).suffix
    return 1 < len(ending) <= _LONGEST_ENDING and ending[1:].isalnum()
