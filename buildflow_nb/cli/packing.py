"""The files of a project in one zip: which of them, and always the same bytes for the same files.

Names are in order, times and modes are fixed. What tools and the flow itself write stays out, and
so do `.env` files, in which secrets are.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pathspec

from buildflow_nb.core.errors import UsageError

__all__ = ("LEFT_OUT", "files_of", "pack", "spec_of")

LEFT_OUT = (
    ".buildflow/",
    ".git/",
    ".gitignore",
    "/build/",
    "__pycache__/",
    "*.py[co]",
    ".venv/",
    "venv/",
    ".env",
    ".env.*",
    "!.env.example",
    ".ipynb_checkpoints/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    "node_modules/",
    ".DS_Store",
)
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier one


def spec_of(patterns: Sequence[str]) -> pathspec.PathSpec[Any]:
    """What patterns as in .gitignore leave out.

    Raises:
        UsageError: one of them is none.
    """
    try:
        return pathspec.PathSpec.from_lines("gitignore", patterns)
    except ValueError as error:
        msg = f"a pattern of what to leave out is wrong: {error}; write it as in .gitignore"
        raise UsageError(msg) from error


def files_of(folder: Path, left_out: pathspec.PathSpec[Any], inner: str = "") -> Iterator[str]:
    """Names of all files to pack, in order; folders that are left out are not looked into.

    A link is packed as what it leads to, if that is a file inside the project.
    """
    for entry in sorted(os.scandir(folder / inner), key=lambda entry: entry.name):
        name = f"{inner}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not left_out.match_file(f"{name}/") and not (folder / name / "pyvenv.cfg").exists():
                yield from files_of(folder, left_out, f"{name}/")
        elif not left_out.match_file(name) and _is_inside(folder / name, folder):
            yield name


def _is_inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def pack(file: Any, folder: Path, names: Sequence[str], texts: Mapping[str, str]) -> None:
    """Write files of a folder, and texts by their names, as a zip: the same give the same bytes."""
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted([*names, *texts]):
            path = folder / name
            runs = name not in texts and path.stat().st_mode & stat.S_IXUSR
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            content = texts[name].encode() if name in texts else path.read_bytes()
            archive.writestr(info, content, compresslevel=6)
