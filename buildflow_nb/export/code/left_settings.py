"""What a notebook sets beside its names: the environment, the folder in which it works, files.

Magics (`%env`, `%cd`, `%%writefile`) and calls (`os.environ[…] = …`, `os.chdir`) that stay behind
leave no name missing, and the program would run with other values or read other files without a
word. So an environment variable that the program names is refused, and told where nobody can see
who reads it; a changed folder is refused where the program has paths that are relative to it; a
file that is written in a cell is refused where the program names it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from buildflow_nb.core.python_text import parse_python
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.code.settings import (
    Setting,
    names_of_os,
    settings_of_code,
    settings_of_magic,
)
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.report import LeftOut

__all__ = ("environment_of", "say_left_settings")

_LONGEST_ENDING = 8  # of a file's name, with its dot
_SHELL = ("system", "getoutput")
_KINDS = ("text/", "application/", "image/", "audio/", "video/", "multipart/")  # of contents


def environment_of(statement: Statement, names: Mapping[str, str]) -> frozenset[str]:
    """The environment variables that a statement of Python sets, as far as it names them."""
    found = [one.variables or frozenset() for one in _calls(statement, names)]
    return frozenset().union(*found)


def say_left_settings(
    statements: Sequence[Statement],
    taken: Collection[int],
    findings: Messages,
    left: Sequence[LeftOut] = (),
) -> None:
    """Refuse settings that stay behind, although those `taken` (by identity) need them.

    `left` are cells that stay behind as a whole.
    """
    program = [s for s in statements if id(s) in taken]
    names = names_of_os(node for s in statements for node in s.parts)
    texts = {text for s in program for text in _texts(s)}
    for at, statement in enumerate(statements):
        if id(statement) in taken:
            continue
        later = [s for s in statements[at + 1 :] if id(s) in taken]
        for one in (*_magics(statement, names), *_calls(statement, names)):
            _say(statement.where(), one, later, texts, findings)
    for cell in left:
        for line, one in _of_cell(cell, names):
            _say(f"{cell.cell} line {line}", one, program, texts, findings)


def _say(
    where: str,
    one: Setting,
    later: Sequence[Statement],
    texts: Collection[str],
    findings: Messages,
) -> None:
    if one.folder:
        _say_folder(where, one, later, findings)
    elif one.files:
        _say_files(where, one, texts, findings)
    else:
        _say_variables(where, one, texts, findings)


def _say_files(where: str, one: Setting, texts: Collection[str], findings: Messages) -> None:
    """A file that the flow names, and that is written by what stays behind."""
    named = {str(PurePosixPath(text)) for text in texts if _is_relative_path(text)}
    for name in sorted({str(PurePosixPath(file)) for file in one.files} & named):
        if one.words.startswith("%%"):
            findings.refuse(
                f"{where}: {one.words} writes {name!r}, which the flow names, and a program has no "
                "magics; make the file beside the program, or write it in a cell that declares"
            )
        else:
            findings.warn(
                f"{where}: {one.words} stays behind, and may write {name!r}, which the flow names; "
                "make the file where the program runs"
            )


def _say_variables(where: str, one: Setting, texts: Collection[str], findings: Messages) -> None:
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


def _say_folder(where: str, one: Setting, later: Sequence[Statement], findings: Messages) -> None:
    relative = next((text for s in later for text in _texts(s) if _is_relative_path(text)), None)
    if relative is None:
        return
    findings.refuse(
        f"{where}: {one.words} changes the folder in which {relative!r} is looked for, "
        "and the program starts in the project's; write paths that begin there, and drop the line"
    )


def _magics(statement: Statement, names: Mapping[str, str]) -> Iterator[Setting]:
    for magic, line in statement.magics:
        yield from settings_of_magic(magic, line, names)
    for node in statement.parts if statement.is_magic else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            told = node.args[0] if node.func.attr in _SHELL and node.args else None
            if isinstance(told, ast.Constant):
                yield Setting("a command", files=frozenset(_words(str(told.value))))


def _calls(statement: Statement, names: Mapping[str, str]) -> Iterator[Setting]:
    """Settings of a statement that runs when its cell does."""
    if not statement.is_magic and not statement.is_block:
        yield from settings_of_code(statement.at_once, names)


def _of_cell(cell: LeftOut, names: Mapping[str, str]) -> Iterator[tuple[int, Setting]]:
    """Settings of a cell of another magic: of its first line, and of the Python below it."""
    first, *rest = cell.source.split("\n") if cell.text.startswith("%%") else [""]
    magic, _, line = first.strip().removeprefix("%%").partition(" ")
    yield from ((cell.line, one) for one in settings_of_magic(magic, line, names))
    if magic in ("bash", "sh", "script", "system", "sx", "!"):
        yield from (
            (number, Setting("a command", files=frozenset(_words(row))))
            for number, row in enumerate(rest, cell.line + 1)
        )
    if magic not in ("time", "capture", "timeit", "prun"):
        return
    for number, row in enumerate(rest, cell.line + 1):
        if row.lstrip().startswith("%"):
            name, _, line = row.strip().lstrip("%").partition(" ")
            yield from ((number, one) for one in settings_of_magic(name, line, names))
    try:
        tree = parse_python("\n".join("" if r.lstrip().startswith(("%", "!")) else r for r in rest))
    except SyntaxError:
        return
    for statement in tree.body:
        for one in settings_of_code(list(ast.walk(statement)), names):
            yield cell.line + statement.lineno, one


def _words(line: str) -> list[str]:
    return [word.strip("\"';()|&<>") for word in line.replace(">", " ").split()]


def _texts(statement: Statement) -> Iterator[str]:
    for node in statement.parts:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_relative_path(text: str) -> bool:
    if text.startswith("/") or "://" in text or any(c.isspace() for c in text) or not text:
        return False
    ending = PurePosixPath(text).suffix
    if 1 < len(ending) <= _LONGEST_ENDING and ending[1:].isalnum():
        return True
    return "/" in text.strip("/") and text.isprintable() and not text.startswith(_KINDS)
