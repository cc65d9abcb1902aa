"""A flow as Python source, and what the files around it need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ("ExportedProgram", "Import")


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
