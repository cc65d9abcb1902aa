"""`buildflow build`: the project in one file, which `buildflow run --from-build` runs elsewhere.

A build is a zip of the project's files and of what its flow declares (flowstate.yaml). The same
files give the same bytes: names are in order, times and modes are fixed. What tools and the flow
itself write stays out, and so do `.env` files, in which secrets are.
"""

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
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from buildflow_nb.cli.entry import flow_asked
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.cli.packing import LEFT_OUT, files_of, pack, spec_of
from buildflow_nb.core.errors import InfraError, UsageError, told
from buildflow_nb.core.nearest import cut, shown
from buildflow_nb.core.project_folder import (
    PRIVATE,
    LinkedError,
    make_private,
    read_private,
    replacing,
    write_whole,
)

__all__ = ("build", "unpacked")

REQUIREMENTS = "requirements.txt"
STATE = "flowstate.yaml"
FOLDER = Path(".buildflow") / "build"


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
        for name in files_of(folder, spec_of(patterns))
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


def _write(target: Path, folder: Path, names: Sequence[str], texts: Mapping[str, str]) -> None:
    """Put the file in place once it is whole."""
    try:
        make_private(target.parent)
        with replacing(target) as file:
            pack(file, folder, names, texts)
            if PRIVATE not in target.parts:
                os.fchmod(file.fileno(), 0o644)  # it is there to be given away
    except OSError as error:
        what = error.filename or target
        msg = f"build: {what}: {error.strerror or error}; mend that, or choose another --build-path"
        raise InfraError(msg) from error


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
                _extract(archive, info, made)
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


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> None:
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


def export(values: Mapping[str, Any], terminal: Terminal) -> None:
    """Write the project; none of the notebook's code is run."""
    from buildflow_nb.export import export_flow, report_text, warnings_text

    report = export_flow(
        (),
        Path(values["folder"]),
        notebook=Path(values["notebook"]),
        force=values["force"],
        package=values["package"],
        tell=lambda warnings: terminal.note(warnings_text(warnings)) if warnings else None,
    )
    terminal.give(report, report_text(report), verbatim=True)
