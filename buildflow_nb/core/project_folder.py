"""A project's own folder, `.buildflow`: for its owner only, never in git, no links, written whole.

What lies there (stack state, positions of sources, recordings) is read again after kills and power
cuts. So a file is written beside its place, synced and renamed: whoever reads it finds the old
content or the new one, and never a part of it.

A project can come from elsewhere, and git carries links. So nothing in the folder is reached by
one, the folder itself neither: each part of the way is opened from the one above it, and a link is
an error that names it. What stands open to others, since it was copied or made by hand, is closed
when it is met. Everything that this package keeps there goes through this module. A path outside of
a project's folder is a person's own, and taken as it is; what is written there replaces a link.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

from buildflow_nb.core.errors import InfraError

__all__ = (
    "PRIVATE",
    "LinkedError",
    "check_tree",
    "forget_parts",
    "make_private",
    "open_private",
    "private_folder",
    "read_private",
    "replacing",
    "tighten",
    "try_lock",
    "write_once",
    "write_whole",
)

PRIVATE = ".buildflow"
Put = Callable[[str, str, int | None], None]
FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = 0o077
# Windows has neither; there the way is checked, then walked by its name.
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_FOLDER: int = getattr(os, "O_DIRECTORY", 0)
_STEPWISE = os.open in os.supports_dir_fd


class LinkedError(OSError):
    """A link stands where a project's own folder or file should be."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ELOOP, f"{path} is a link, and none is followed there; remove it")

    def __str__(self) -> str:
        return str(self.strerror)


def private_folder(project: Path) -> Path:
    """A project's own folder, made for its owner only and kept out of git.

    Raises:
        InfraError: it cannot be made, or it is a link.
    """
    folder = project / PRIVATE
    try:
        project.mkdir(parents=True, exist_ok=True)
        make_private(folder)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            write_whole(ignore, b"*\n")
    except OSError as error:
        msg = f"the folder {folder} cannot be made ({error}); the project's files are kept there"
        raise InfraError(msg) from error
    return folder


def make_private(folder: Path) -> Path:
    """A folder for its owner alone, made with those above it; one that is too open is closed.

    Raises:
        LinkedError: a link is in the way.
        OSError: it cannot be made.
    """
    above, parts = _way(folder)
    if not parts:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        return folder
    if not above.is_dir():
        above.mkdir(parents=True, exist_ok=True)
    with _at(above, parts, make=True):
        return folder


def open_private(path: Path, flags: int) -> int:
    """Open a file for its owner alone, as `os.open` does; its folders are made if it may be.

    Raises:
        LinkedError: it is a link, or a link is in the way.
        OSError: it cannot be opened.
    """
    above, parts = _way(path.parent)
    writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if parts or writes:
        flags |= _NO_LINK
    with _at(above, parts, make=bool(flags & os.O_CREAT)) as folder:
        return _opened(path, flags, folder, close=bool(writes))


def read_private(path: Path, most: int = -1) -> bytes:
    """The content of a file, which may have no more than `most` bytes where that is given.

    Raises:
        LinkedError: it is a link, or a link is in the way.
        OSError: it cannot be read, or it has more.
    """
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        if most < 0:
            return file.read()
        # It may grow meanwhile, and nothing is made for what is refused.
        if os.fstat(file.fileno()).st_size <= most and len(data := file.read(most + 1)) <= most:
            return data
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))


def write_once(path: Path, data: bytes) -> None:
    """Put `data` at `path` as `replacing` does, unless a file is there; of several, one wins.

    Raises:
        LinkedError: a link is in the way.
        OSError: it cannot be written.
    """
    with _beside(path, _linked) as file:
        file.write(data)


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, as `replacing` does.

    Raises:
        LinkedError: a link is in the way.
        OSError: it cannot be written; what was there is still there.
    """
    with replacing(path) as file:
        file.write(data)


def replacing(path: Path) -> AbstractContextManager[IO[bytes]]:
    """A file that is put at `path` when it is left, readable by its owner only.

    It is there whole or not at all, also in a power cut. A link at `path` itself is replaced, and
    what it pointed to stays as it is.

    Raises:
        LinkedError: a link is in the way.
        OSError: it cannot be written; what was there is still there.
    """
    return _beside(path, _replaced)


@contextmanager
def _beside(path: Path, put: Put) -> Iterator[IO[bytes]]:
    """A new file beside a place, which is put there when it is left."""
    name = f".{path.name}.{secrets.token_hex(4)}.part"
    above, parts = _way(path.parent)
    with _at(above, parts, make=bool(parts)) as folder:
        place = folder if _STEPWISE else None
        target, part = (path.name, name) if _STEPWISE else (str(path), str(path.with_name(name)))
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
            file = _opened(path.with_name(name), flags, folder)
            with os.fdopen(file, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            put(part, target, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=place)
            raise


def _replaced(part: str, target: str, folder: int | None) -> None:
    os.replace(part, target, src_dir_fd=folder, dst_dir_fd=folder)


def _linked(part: str, target: str, folder: int | None) -> None:
    with suppress(FileExistsError):
        os.link(part, target, src_dir_fd=folder, dst_dir_fd=folder)
    os.unlink(part, dir_fd=folder)


def forget_parts(path: Path) -> None:
    """Remove what writers that were killed have left beside a file that only this process writes.

    Raises:
        OSError: one cannot be removed.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)


def check_tree(folder: Path, *, own_links: bool = False) -> None:
    """Look through a folder that another program writes in, which may follow links.

    With `own_links` it makes some itself, so those that lead to a place in the folder may be there.

    Raises:
        LinkedError: a link is in it.
        OSError: it cannot be read.
    """
    left, root = [folder], folder.resolve()
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    path = Path(entry.path)
                    if not (own_links and path.resolve().is_relative_to(root)):
                        raise LinkedError(path)
                if entry.is_dir(follow_symlinks=False):
                    left.append(Path(entry.path))


def tighten(handle: int) -> None:
    """Close an open file or folder to all but its owner, if it is this user's."""
    found = os.fstat(handle)
    if os.name != "posix" or found.st_uid != os.geteuid():
        return
    if found.st_mode & OTHERS and (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        os.fchmod(handle, stat.S_IMODE(found.st_mode) & ~OTHERS)


def _way(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Where the way to a folder begins, and its parts from the project's own folder on."""
    parts = folder.parts
    if PRIVATE not in parts:
        return folder, ()
    # The last one: a build that was unpacked there has a folder of its own.
    at = len(parts) - 1 - parts[::-1].index(PRIVATE)
    if ".." in parts[at:]:
        msg = "leads out of the project's own folder"
        raise OSError(errno.EINVAL, msg, str(folder))
    return Path(*parts[:at]), parts[at:]


@contextmanager
def _at(above: Path, parts: tuple[str, ...], *, make: bool) -> Iterator[int | None]:
    """The folder at the end of a way, opened part by part."""
    if not _STEPWISE:
        _check_named(above, parts, make=make)
        yield None
        return
    handle = os.open(above, os.O_RDONLY | _FOLDER)
    try:
        place = above
        for name in parts:
            place = place / name
            inner = _stepped(place, handle, make=make)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _stepped(place: Path, above: int, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(place.name, FOLDER_MODE, dir_fd=above)
    try:
        handle = os.open(place.name, os.O_RDONLY | _FOLDER | _NO_LINK, dir_fd=above)
    except OSError as error:
        raise _told(error, place) from error
    tighten(handle)
    return handle


def _opened(path: Path, flags: int, folder: int | None, *, close: bool = False) -> int:
    flags |= getattr(os, "O_NONBLOCK", 0)  # a pipe in its place must not hold us up
    try:
        if folder is None:
            handle = os.open(path, flags, FILE_MODE)
        else:
            handle = os.open(path.name, flags, FILE_MODE, dir_fd=folder)
    except OSError as error:
        raise _told(error, path) from error
    try:
        _check_file(handle, path)
        if close:
            tighten(handle)
    except OSError:
        os.close(handle)
        raise
    return handle


def _check_file(handle: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise OSError(errno.EINVAL, "is no file", str(path))


def _told(error: OSError, path: Path) -> OSError:
    """The error with the whole path; ELOOP and ENOTDIR are what a link gives."""
    if path.is_symlink():
        return LinkedError(path)
    return OSError(error.errno, error.strerror, str(path))


def _check_named(above: Path, parts: tuple[str, ...], *, make: bool) -> None:
    place = above
    for name in parts:
        place = place / name
        if place.is_symlink():
            raise LinkedError(place)
        if make:
            place.mkdir(mode=FOLDER_MODE, exist_ok=True)


def try_lock(handle: int) -> bool:
    """Lock an open file, if no other process has; closing the file lets go of it.

    Windows has no such lock in Python's library; there it is always granted.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
