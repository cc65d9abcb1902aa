"""Unpacks what `buildflow build` packed, beside nothing else and never outside its folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from buildflow_nb.core.errors import UsageError

__all__ = ("MARK", "unpacked")

MARK = ".buildflow/unpacked"  # holds the digest of the build that a folder was made of
BUILDS = Path(".buildflow") / "builds"
MOST_BYTES = 2**31  # of all files together; a bomb is bigger
_DRIVES = ":"


def unpacked(build: Path, output: str | None) -> Path:
    """The folder of a build; one that was unpacked before is used again, with what is in it.

    Raises:
        UsageError: it is no build, a name in it leads outside, or the folder is in use.
    """
    digest = _digest(build)
    folder = Path(output) if output else BUILDS / f"{build.stem}-{digest[:12]}"
    mark = folder / MARK
    if mark.is_file() and mark.read_text(encoding="utf-8") == digest:
        return folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"run: {folder} holds something else than this build; name an empty folder"
        raise UsageError(msg)
    try:
        _unpack(build, folder, digest)
    except zipfile.BadZipFile as error:
        msg = f"run: {build} is no build: {error}; make one by buildflow build"
        raise UsageError(msg) from error
    except OSError as error:
        msg = f"run: {build} cannot be unpacked to {folder}: {error}"
        raise UsageError(msg) from error
    return folder.absolute()


def _digest(build: Path) -> str:
    try:
        with build.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        msg = f"run: --from-build {build}: {reason}; make one by buildflow build"
        raise UsageError(msg) from error


def _unpack(build: Path, folder: Path, digest: str) -> None:
    """All of it or nothing: into a folder beside, which is then put in place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(build) as archive:
            _check(build, archive)
            for info in archive.infolist():
                _write(archive, info, made)
        mark = made / MARK
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(digest, encoding="utf-8")
        if folder.is_dir():
            folder.rmdir()
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check(build: Path, archive: zipfile.ZipFile) -> None:
    for info in archive.infolist():
        name = PurePosixPath(info.filename)
        outside = name.is_absolute() or ".." in name.parts or "\\" in info.filename
        if (
            outside
            or _DRIVES in f"{name}".partition("/")[0]
            or stat.S_ISLNK(info.external_attr >> 16)
        ):
            msg = f"run: {build} is refused: {info.filename!r} in it leads outside its folder"
            raise UsageError(msg)
    size = sum(info.file_size for info in archive.infolist())
    if size > MOST_BYTES:
        msg = f"run: {build} is refused: it unpacks to {size:,} bytes, more than {MOST_BYTES:,}"
        raise UsageError(msg)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / info.filename
    if info.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with archive.open(info) as packed, path.open("wb") as file:
        while chunk := packed.read(1 << 20):
            left -= len(chunk)
            if left < 0:
                msg = f"{info.filename} is longer than it says"
                raise zipfile.BadZipFile(msg)
            file.write(chunk)
    os.chmod(path, 0o755 if info.external_attr >> 16 & 0o100 else 0o644)  # noqa: PTH101
