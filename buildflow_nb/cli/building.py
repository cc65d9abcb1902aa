"""`buildflow build`: the project in one file, which `buildflow run --from-build` runs elsewhere.

A build is a zip of the project's files and of what its flow declares (flowstate.yaml). The same
files give the same bytes: names are in order, times and modes are fixed. What tools and the flow
itself write stays out, and so do `.env` files, in which secrets are.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pathspec
import yaml

from buildflow_nb.cli.asked import flow_asked
from buildflow_nb.cli.terminal import Terminal
from buildflow_nb.core.errors import InfraError, UsageError
from buildflow_nb.core.project_folder import PRIVATE, make_private, replacing

__all__ = ("build",)

REQUIREMENTS = "requirements.txt"
STATE = "flowstate.yaml"
FOLDER = Path(".buildflow") / "build"
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


def build(values: Mapping[str, Any], terminal: Terminal) -> None:
    """Pack the project.

    Raises:
        UsageError: requirements.txt is missing, or a pattern is none.
        InfraError: the file cannot be written.
    """
    flow = flow_asked(values)
    folder = flow.config.folder
    if not (folder / REQUIREMENTS).is_file():
        msg = (
            f"build: {folder} has no {REQUIREMENTS}, which says what the code needs elsewhere; "
            f"write one that names buildflow-nb and what else is imported"
        )
        raise UsageError(msg)
    template = values["as_template"]
    default = FOLDER / ("template.flow" if template else "build.flow")
    target = Path(values["build_path"] or folder / default).absolute()
    patterns = [*LEFT_OUT, *flow.config.build_ignores, *values["ignores"]]
    texts = {} if template else {STATE: yaml.safe_dump(flow.flowstate().to_dict())}
    names = [
        name
        for name in _files(folder, _spec(patterns))
        if folder / name != target and name != STATE
    ]
    _write(target, folder, names, texts)
    size = target.stat().st_size
    count = len(names) + len(texts)
    terminal.give(
        {"path": target, "bytes": size, "files": sorted([*names, *texts])},
        f"packed {count} files into {target} ({size:,} bytes)\n"
        f"run it by: buildflow run --from-build {values['build_path'] or _shown(target)}",
    )


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _spec(patterns: Sequence[str]) -> pathspec.PathSpec[Any]:
    try:
        return pathspec.PathSpec.from_lines("gitignore", patterns)
    except ValueError as error:
        msg = f"build: a pattern of what to leave out is wrong: {error}; write it as in .gitignore"
        raise UsageError(msg) from error


def _files(folder: Path, left_out: pathspec.PathSpec[Any], inner: str = "") -> Iterator[str]:
    """Names of all files to pack, in order; folders that are left out are not looked into.

    A link is packed as what it leads to, if that is a file inside the project.
    """
    for entry in sorted(os.scandir(folder / inner), key=lambda entry: entry.name):
        name = f"{inner}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not left_out.match_file(f"{name}/") and not (folder / name / "pyvenv.cfg").exists():
                yield from _files(folder, left_out, f"{name}/")
        elif not left_out.match_file(name) and _is_inside(folder / name, folder):
            yield name


def _is_inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _write(target: Path, folder: Path, names: Sequence[str], texts: Mapping[str, str]) -> None:
    """Put the file in place once it is whole."""
    try:
        make_private(target.parent)
        with replacing(target) as file:
            _pack(file, folder, names, texts)
            if PRIVATE not in target.parts:
                os.fchmod(file.fileno(), 0o644)  # it is there to be given away
    except OSError as error:
        what = error.filename or target
        msg = f"build: {what}: {error.strerror or error}; mend that, or choose another --build-path"
        raise InfraError(msg) from error


def _pack(file: Any, folder: Path, names: Sequence[str], texts: Mapping[str, str]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted([*names, *texts]):
            path = folder / name
            runs = name not in texts and path.stat().st_mode & stat.S_IXUSR
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            content = texts[name].encode() if name in texts else path.read_bytes()
            archive.writestr(info, content, compresslevel=6)
