"""The folder of an export: what may be written over, and files that are whole or not there.

main.py begins with a checksum of itself. As long as it is true nobody has worked on the file, and
the next export may replace it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.errors import UsageError

__all__ = ("MAIN", "check_folder", "project_text", "signed", "write_files")

MAIN = "main.py"
_MARK = "# Exported by buildflow_nb; %buildflow export replaces it while this is true: sha256 "
_PROJECT = """\
app: {app}
entry_point: main:app
pulumi_config:
  default_stack: local
  stacks:
    - name: local
      cloud: local
"""


def signed(text: str) -> str:
    """A program with the line that says that it is as it was exported."""
    return f"{_MARK}{_checksum(text)}\n{text}"


def project_text(folder: Path) -> str:
    """A buildflow.yaml: one stack on the local cloud."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in folder.resolve().name)
    return _PROJECT.format(app=f'"{name.strip("-") or "app"}"')


def check_folder(folder: Path, *, force: bool) -> None:
    """See whether an export may go there.

    Raises:
        UsageError: it is no folder, or holds something that is not ours to write over.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file; name a folder to export to"
        raise UsageError(msg)
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    main = folder / MAIN
    if not main.is_file():
        msg = f"{folder} is not empty and holds no export; name another folder, or add --force"
        raise UsageError(msg)
    if not _unchanged(main):
        msg = f"{main} was changed since it was exported; add --force to write over it"
        raise UsageError(msg)


def write_files(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write files, each of which is there as a whole or as it was before.

    Raises:
        UsageError: the folder cannot be written to.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _replace(folder / name, text)
            written.append(folder / name)
    except OSError as error:
        done = f" ({', '.join(path.name for path in written)} is written)" if written else ""
        msg = f"{folder} cannot be written to: {error.strerror}{done}; name another folder"
        raise UsageError(msg) from error
    return tuple(written)


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _unchanged(path: Path) -> bool:
    try:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return False
    return first == f"{_MARK}{_checksum(rest)}"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
