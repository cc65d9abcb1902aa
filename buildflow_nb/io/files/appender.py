"""Appends to a text file, a push at a time, all of it or nothing.

Guarantees:

- One push is one write at the file's end, under an advisory lock (`flock`), so that several sinks,
  in this process or others, never mix their lines.
- Before it writes, the appender notes where the file ends in a hidden file beside it
  (`.{name}.append`) and removes the note afterwards. Whoever finds a note finds the remains of a
  push that was cut short (a kill, a full disk) and takes them off again, exactly: a last line
  without a line end that a person has left is not mistaken for one.
- A file that was there before is looked at first, and again where it is not as the last push has
  left it. One that cannot be continued is refused and stays as it is, to the byte.
- A push that has returned survives a power cut (`fsync`, 0.4 ms on an SSD: less than what it takes
  to make a thousand lines).

A reader at the very moment of a write may see its first part, as with every file that grows.
The file is opened for each push (some microseconds), so one that was moved away or deleted in
between is made anew instead of being written into nowhere.
"""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.io.files.paths import fault, foreign

__all__ = ("LOOK_BYTES", "Appender")

LOOK_BYTES = 1 << 20  # of a file that is there: more than any header
Look = Callable[[bytes], None]

LOCK_WAIT_S = 5.0  # a push of another sink takes milliseconds; a stopped process may keep it
LOCK_POLL_S = 0.005
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT


class Appender:
    """A file to append to.

    `look` is given the beginning of a file that is not empty, and raises `PermanentError` where
    that cannot be continued.
    """

    def __init__(self, path: str, look: Look = lambda _: None) -> None:
        self._path = path
        self._look = look
        self._left: tuple[int, int] | None = None  # inode and size as the last push has left it
        self._note = Path(path).with_name(f".{Path(path).name}.append")

    def mend(self) -> None:
        """Make the file, with its folders, where it is missing; take off what a crash has left.

        Raises:
            TemporaryError: it cannot be opened for now.
            PermanentError: it can never be, as a folder, a read-only file or one of another kind.
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
                sound = self._sound_size(file)
                self._look_at(file, sound)
                self._mend(file, sound)
                data = make(sound)
                if data and sound and os.pread(file, 1, sound - 1) != b"\n":
                    data = b"\n" + data  # a person has left the last line open
                if data:
                    self._write(file, sound, data)
                self._left = (os.fstat(file).st_ino, sound + len(data))
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

    def _sound_size(self, file: int) -> int:
        """The size of the file, without what an unfinished push has left; changes nothing."""
        size = os.fstat(file).st_size
        if self._note.exists():
            found = self._note.read_text(errors="replace").split()
            numbers = [int(word) for word in found if word.isdecimal()]
            # Anything else is not our push: somebody has replaced or continued the file.
            if len(numbers) == len(("inode", "start", "end")):
                inode, start, end = numbers
                if inode == os.fstat(file).st_ino and start <= size <= end:
                    return start
        return size

    def _look_at(self, file: int, size: int) -> None:
        """Raises: PermanentError: what is there cannot be continued."""
        if not size or self._left == (os.fstat(file).st_ino, size):
            return
        start = os.pread(file, min(size, LOOK_BYTES), 0)
        what = foreign(start)
        if what is None and not _is_text(start, cut=size > LOOK_BYTES):
            what = "no UTF-8 text", ""
        if what is not None:
            msg = f"file {self._path} is {what[0]}, so nothing is appended to it; name another file"
            raise PermanentError(msg)
        self._look(start)

    def _mend(self, file: int, sound: int) -> None:
        """Take off what an unfinished push has left."""
        if sound < os.fstat(file).st_size:
            os.ftruncate(file, sound)
        self._note.unlink(missing_ok=True)

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


def _is_text(start: bytes, *, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, final=not cut)
    except UnicodeDecodeError:
        return False
    return b"\x00" not in start


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
