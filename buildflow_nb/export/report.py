"""What an export made and did: the program as source, and what faces tell of it, as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = (
    "BEFORE",
    "ExportReport",
    "ExportedProgram",
    "Import",
    "LeftOut",
    "report_text",
    "warnings_text",
)

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


@dataclass(frozen=True, slots=True)
class Import:
    """A module that the program imports by its dotted name, and where: `cell [3] line 2`."""

    module: str
    where: str


@dataclass(frozen=True, slots=True)
class ExportedProgram:
    """What a notebook was made into.

    `modules` are texts by path relative to the folder, without a checksum and without a header;
    `entry_point` is `module:variable`, as buildflow.yaml has it. `imports` are those of packages
    that must be installed: neither the standard library nor `modules`. `secrets` are names of
    environment variables that it reads. `commands` are the terminal's twins of line magics that
    were dropped, in order.
    """

    name: str
    title: str
    modules: Mapping[str, str]
    entry_point: str
    imports: tuple[Import, ...] = ()
    secrets: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
