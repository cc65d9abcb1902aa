"""Appends to a text file, a push at a time, all of it or nothing.

Guarantees:

- One push is one write at the file's end, under an advisory lock (`flock`), so that several sinks,
  in this process or others, never mix their lines.
- Before it writes, the appender notes where the file ends in a hidden file beside it
  (`.{name}.append`) and removes the note afterwards. Whoever finds a note finds the remains of a
  push that was cut short (a kill, a full disk) and takes them off again, exactly: a last line
  without a line end that a person has left is not mistaken for one.
- A push that has returned survives a power cut (`fsync`, 0.4 ms on an SSD: less than what it takes
  to make a thousand lines).

A reader at the very moment of a write may see its first part, as with every file that grows.
The file is opened for each push (some microseconds), so one that was moved away or deleted in
between is made anew instead of being written into nowhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.io._paths import fault

__all__ = ("Appender",)

LOCK_WAIT_S = 5.0  # a push of another sink takes milliseconds; a stopped process may keep it
LOCK_POLL_S = 0.005
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT


class Appender:
    """A file to append to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._note = Path(path).with_name(f".{Path(path).name}.append")

    def mend(self) -> None:
        """Make the file, with its folders, where it is missing; take off what a crash has left.

        Raises:
            TemporaryError: it cannot be opened for now.
            PermanentError: it can never be, as a folder or a read-only file.
        """
        self.append(lambda _: b"")

    def append(self, make: Callable[[int], bytes]) -> None:
        """Append what `make` makes; it is given the file's size, 0 for a new file.

        Raises:
            TemporaryError: the disk is full, or another process keeps the file locked.
            PermanentError: the file can never be written.
        """
        try:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            with self._locked() as file:
                size = self._mended(file)
                data = make(size)
                if data:
                    self._write(file, size, data)
        except OSError as error:
            raise fault(error, self._path, "written") from error

    def _write(self, file: int, size: int, data: bytes) -> None:
        self._note.write_text(f"{os.fstat(file).st_ino} {size} {size + len(data)}")
        try:
            _write_all(file, data)
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        finally:
            self._note.unlink(missing_ok=True)

    def _mended(self, file: int) -> int:
        """The size of the file, without what an unfinished push has left."""
        size = os.fstat(file).st_size
        if self._note.exists():
            found = self._note.read_text().split()
            numbers = [int(word) for word in found if word.isdigit()]
            # Anything else is not our push: somebody has replaced or continued the file.
            if len(numbers) == len(("inode", "start", "end")):
                inode, start, end = numbers
                if inode == os.fstat(file).st_ino and start <= size <= end:
                    os.ftruncate(file, start)
                    size = start
            self._note.unlink(missing_ok=True)
        if size and os.pread(file, 1, size - 1) != b"\n":
            size += os.write(file, b"\n")
        return size

    @contextmanager
    def _locked(self) -> Iterator[int]:
        import fcntl

        deadline = time.monotonic() + LOCK_WAIT_S
        file = os.open(self._path, _FLAGS, 0o666)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        msg = f"file {self._path} is locked by another process that writes to it"
                        raise TemporaryError(msg) from error
                    time.sleep(LOCK_POLL_S)
            yield file
        finally:
            os.close(file)  # and with it the lock


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
