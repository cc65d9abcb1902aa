"""What an export did: data, which faces render."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ("BEFORE", "ExportReport", "LeftOut", "report_text", "warnings_text")

BEFORE = "before it is installed elsewhere, in that folder"
_MOST_LINES = 30  # of what stayed behind; the report itself is whole


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of a cell that stays behind, and why; `line` counts from 1.

    `source` is the whole cell, from that line on, where all of it does.
    """

    cell: str
    line: int
    text: str
    why: str
    source: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The files that were written, what stayed behind, and what to look at.

    `secrets` are environment variables that the program reads, `commands` the terminal's twins of
    line magics, `processors` the ids of what it declares, as far as they are written out.
    `wheel_command` lays wheels beside the program, of packages that were installed from a folder
    here; it names that folder, so it is for the screen and in no file.
    """

    folder: Path
    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()
    wheel_command: str = ""

    def __str__(self) -> str:
        names = ", ".join(path.relative_to(self.folder).as_posix() for path in self.files)
        return f"wrote {names} in {self.folder}"


def warnings_text(warnings: Sequence[str]) -> str:
    """What there is to look at, a line each."""
    return "\n".join(f"look at: {warning}" for warning in warnings)


def report_text(report: ExportReport) -> str:
    """A report as plain text; what there is to look at was told before (`warnings_text`)."""
    rows = [
        f"  {one.cell} line {one.line}: {one.text[:80]}  ({one.why})" for one in report.left_out
    ]
    if len(rows) > _MOST_LINES:
        rows[_MOST_LINES:] = [f"  … and {len(rows) - _MOST_LINES} more"]
    count = len(report.left_out)
    behind = [f"{count} line{'s stay' if count > 1 else ' stays'} behind:", *rows] if rows else []
    run = f"run it by: cd {shlex.quote(str(report.folder))} && python main.py"
    wheels = [f"{BEFORE}: {report.wheel_command}"] if report.wheel_command else []
    return "\n".join([str(report), run, *wheels, *behind])
