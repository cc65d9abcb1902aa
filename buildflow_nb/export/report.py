"""What an export did: data, which faces render."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ("ExportReport", "LeftOut")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of a cell that stays behind, and why; `line` counts from 1."""

    cell: str
    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The files that were written, what stayed behind, and what to look at."""

    folder: Path
    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(path.name for path in self.files)
        return f"wrote {names} in {self.folder}"
