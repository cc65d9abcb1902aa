"""Formats a program by ruff, if it is installed; the text is right without it for usual code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from buildflow_nb.export.cells.statement import Statement

__all__ = ("complaints", "settled", "tidied")

_IMPORTS = "F401,I001"  # unused ones, and their order
_MOST = 8  # complaints that are said one by one

_TIME_S = 10.0  # more than it takes by far; the text is as good as before


def tidied(text: str) -> str:
    """The same program as ruff has it, mended where that is safe, then in its format.

    As it is where ruff is missing or fails. Imports stay as they are: one may be there for its
    effect, and their order depends on what is the project's own.
    """
    ruff = _ruff()
    if ruff is None:
        return text
    fix = ("check", "--fix-only", *_for_this_python())
    mended = _by(ruff, (*fix, "--unfixable", "F,I"), text)
    if mended != text and _said(ruff, text, ("--select", _IMPORTS)) == []:
        mended = _by(ruff, (*fix, "--select", _IMPORTS), mended)  # what the mending left unused
    return _by(ruff, ("format",), mended)


def _for_this_python() -> tuple[str, str]:
    return "--target-version", f"py{sys.version_info.major}{sys.version_info.minor}"


def _by(ruff: str, what: tuple[str, ...], text: str) -> str:
    asked = [ruff, *what, "--isolated", "--no-cache", "--quiet", "--stdin-filename", "main.py", "-"]
    try:
        done = subprocess.run(  # noqa: S603  (a fixed program; the text goes by its input)
            asked, input=text.encode(), capture_output=True, timeout=_TIME_S, check=True
        )
        return done.stdout.decode() or text
    except (OSError, ValueError, subprocess.SubprocessError):
        return text


def _said(ruff: str, text: str, what: tuple[str, ...]) -> list[Any] | None:
    """What ruff finds in a text; None where it cannot tell."""
    asked = [ruff, "check", *what, "--isolated", "--no-cache", "--quiet", *_for_this_python()]
    asked += ["--output-format", "json", "--stdin-filename", "main.py", "-"]
    try:
        done = subprocess.run(  # noqa: S603  (as above)
            asked, input=text.encode(), capture_output=True, timeout=_TIME_S, check=False
        )
        found: list[Any] = json.loads(done.stdout or b"[]")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return found


def complaints(texts: Mapping[str, str]) -> list[str]:
    """What ruff still says of finished files, `main.py line 3: F401 …`; their imports' order apart.

    One line that says so where ruff is not installed.
    """
    ruff = _ruff()
    if ruff is None:
        return ["ruff is not installed here, so the program was not checked; pip install ruff"]
    found: list[str] = []
    for path, text in texts.items():
        said = _said(ruff, text, ("--ignore", "I"))
        if said is None:
            found.append(f"{path}: ruff could not check it; run ruff check there")
        found += [
            f"{path} line {one['location']['row']}: ruff says {one['code']}: {one['message']}"
            for one in said or ()
        ]
    more = [f"and {len(found) - _MOST} more that ruff says"] if len(found) > _MOST else []
    return [*found[:_MOST], *more]


def _ruff() -> str | None:
    """The one of this environment before any other."""
    scripts = Path(sysconfig.get_path("scripts"))
    return shutil.which("ruff", path=str(scripts)) or shutil.which("ruff")


# Where a comment goes that a blank line parts from the import below it.
# It is about its cell rather than the import, so it goes to what is kept next of that cell; where
# nothing is, it stays with the import, since comments of kept code are never lost.


def settled(statements: Sequence[Statement]) -> dict[int, Statement]:
    """Statements with the comments that they get, by the identity of those without."""
    found: dict[int, Statement] = {}
    waiting: list[Statement] = []
    ordered = sorted(statements, key=lambda s: (s.cell, s.at))
    for statement in ordered:
        if waiting and waiting[0].cell != statement.cell:
            waiting = _given_back(found, waiting)
        if statement.is_import:
            waiting += [statement] if statement.about else []
        elif waiting:
            about = [line for one in waiting for line in (*one.about, "")]
            above = (*about, *statement.above) if statement.above else tuple(about[:-1])
            found[id(statement)] = replace(statement, above=above)
            waiting = []
    _given_back(found, waiting)
    return found


def _given_back(found: dict[int, Statement], waiting: list[Statement]) -> list[Statement]:
    for one in waiting:
        found[id(one)] = replace(one, above=(*one.about, *one.above))
    return []
