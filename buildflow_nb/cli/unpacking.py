"""Unpacks what `buildflow build` packed, beside nothing else and never outside its folder."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from buildflow_nb.core.errors import UsageError, told
from buildflow_nb.core.nearest import cut, shown
from buildflow_nb.core.project_folder import LinkedError, make_private, read_private, write_whole

__all__ = ("MARK", "unpacked")

MARK = ".buildflow/unpacked"  # holds the digest of the build that a folder was made of
BUILDS = Path(".buildflow") / "builds"
MOST_FILES = 100_000
MOST_SAID = 300  # letters of a reason, which may quote a name of 65,535
# All roots of what `zipfile` raises for damaged, encrypted and unknown archives, besides OSError
# (Python's library reference, "zipfile", and the decompressors that it uses).
NOT_A_BUILD = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,  # encrypted; NotImplementedError, of another version or compression
    ValueError,  # names that are no text, offsets before the file
)
MOST_BYTES = 2**31  # of all files together; a bomb is bigger
_DRIVES = ":"


def unpacked(build: Path, output: str | None) -> Path:
    """The folder of a build; one that was unpacked before is used again, with what is in it.

    Raises:
        UsageError: it is no build, a name in it leads outside, the folder is in use, or a link is
            where it should be.
    """
    digest = _digest(build)
    folder = Path(output) if output else BUILDS / f"{build.stem}-{digest[:12]}"
    try:
        if output is None and folder.is_symlink():
            raise LinkedError(folder)
        if _marked(folder) == digest.encode():
            return folder.absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            msg = f"run: {folder} holds something else than this build; name an empty folder"
            raise UsageError(msg)
        _unpack(build, folder, digest)
    except OSError as error:
        msg = f"run: {build} cannot be unpacked to {folder}: {shown(told(error), MOST_SAID)}"
        raise UsageError(msg) from error
    except NOT_A_BUILD as error:
        why = shown(told(error), MOST_SAID)
        msg = f"run: {build} is no build: {why}; make one by buildflow build"
        raise UsageError(msg) from error
    return folder.absolute()


def _marked(folder: Path) -> bytes | None:
    """The digest of the build that a folder was made of, if it was made of one."""
    try:
        return read_private(folder / MARK)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _digest(build: Path) -> str:
    if build.exists() and not build.is_file():  # a pipe would be waited for
        msg = f"run: --from-build {build}: is no file; make one by buildflow build"
        raise UsageError(msg)
    try:
        with build.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        msg = f"run: --from-build {build}: {reason}; make one by buildflow build"
        raise UsageError(msg) from error


def _unpack(build: Path, folder: Path, digest: str) -> None:
    """All of it or nothing: into a folder beside, which is then put in place."""
    make_private(folder.parent)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(build) as archive:
            _check(build, archive)
            for info in archive.infolist():
                _write(archive, info, made)
        write_whole(made / MARK, digest.encode())
        if folder.is_dir():
            folder.rmdir()
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check(build: Path, archive: zipfile.ZipFile) -> None:
    count = len(archive.infolist())
    if count > MOST_FILES:
        msg = f"run: {build} is refused: it has {count:,} files, more than {MOST_FILES:,}"
        raise UsageError(msg)
    for info in archive.infolist():
        name = PurePosixPath(info.filename)
        outside = name.is_absolute() or ".." in name.parts or "\\" in info.filename
        if (
            outside
            or _DRIVES in f"{name}".partition("/")[0]
            or stat.S_ISLNK(info.external_attr >> 16)
        ):
            msg = f"run: {build} is refused: {cut(info.filename)!r} in it leads outside its folder"
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
    with archive.open(info) as packed, path.open("xb") as file:
        while chunk := packed.read(1 << 20):
            left -= len(chunk)
            if left < 0:
                break
            file.write(chunk)
    if left:
        msg = f"{cut(info.filename)!r} is not as long as it says"
        raise zipfile.BadZipFile(msg)
    os.chmod(path, 0o755 if info.external_attr >> 16 & 0o100 else 0o644)  # noqa: PTH101
