"""A text file that is read line by line, some thousand lines at a time, and a reader over it.

It always knows the byte at which the next line begins: after a fault of the disk it goes on there,
and a later run can, too. A file that has become shorter while it was read is an error, never an
end. What the lines mean is the format's matter.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.files.paths import UTF8_MARK, fault, foreign
from buildflow_nb.io.resuming.offset import Offset

__all__ = ("TextFile", "TextFormat", "TextReader")

BATCH_LINES = 1_000  # more gains nothing: a hop to a thread is 2 % of the time this takes
BATCH_BYTES = 4 << 20  # so that lines of megabytes come a few at a time
FIRST_LINES = 16  # until it is known how long lines are
SEEN_BYTES = 256  # of the beginning, and of what stands before a place, to know a file again


class TextFile:
    """An open file that knows where it is, how much to read next and how much is left.

    With `whole_lines` a last line without its end is left, since it may still be written.
    """

    def __init__(self, path: str, *, whole_lines: bool = False) -> None:
        self.name = Path(path).name
        self.left_open = False
        self.path = path
        self._whole_lines = whole_lines
        self._file, self._position = _open(path)
        self._began = self._position
        self._lines = 0
        self._astray = False

    @property
    def position(self) -> int:
        """The byte at which the next line begins."""
        return self._position

    @property
    def batch(self) -> int:
        """How many lines to read now."""
        if self._lines < FIRST_LINES:
            return FIRST_LINES
        mean = max(1, (self._position - self._began) // self._lines)
        return max(1, min(BATCH_LINES, BATCH_BYTES // mean))

    def take(self, count: int) -> list[bytes]:
        """The next lines with their ends, none at the end of the file.

        Raises:
            TemporaryError: the disk does not give them for now; the next call gives them.
            PermanentError: it has become shorter.
        """
        try:
            if self._astray:
                self._file.seek(self._position)
                self._astray = False
            lines = list(islice(self._file, count))
            if len(lines) < count:
                self._look_at_the_end(lines)
        except OSError as error:
            self._astray = True  # what came before the fault is read again
            raise fault(error, self.path, "read") from error
        self._position += sum(map(len, lines))
        self._lines += len(lines)
        return lines

    def give_back(self, lines: Sequence[bytes]) -> None:
        """Take lines, the last that were taken, for not read yet."""
        if lines:
            self._position -= sum(map(len, lines))
            self._lines -= len(lines)
            self._astray = True

    def mark(self, line: int) -> dict[str, Any]:
        """Where the next line, of this number, begins, and what the file looked like up to there.

        Raises:
            TemporaryError: the disk does not tell for now.
        """
        return {"byte": self._position, "line": line, "seen": self._seen(self._position)}

    def is_still(self, mark: Mapping[str, Any]) -> bool:
        """Whether the file up to a mark is, as far as that tells, what it was."""
        return bool(self._seen(int(mark["byte"])) == mark["seen"])

    def go_to(self, mark: Mapping[str, Any]) -> int | None:
        """Go on at a mark, and give the number of its line; None where the file is another one."""
        byte, line = int(mark["byte"]), int(mark["line"])
        if byte < self._began or not self.is_still(mark):
            return None
        self._position = self._began = byte
        self._lines = 0
        self._astray = True
        return line

    def _seen(self, byte: int) -> str:
        """What stands at the beginning and before a byte, in a few letters; "" where it ends."""
        number, most = self._file.fileno(), min(SEEN_BYTES, byte)
        try:
            start = os.pread(number, most, 0)
            before = os.pread(number, most, byte - most)
        except OSError as error:
            raise fault(error, self.path, "read") from error
        if len(before) < most:
            return ""
        return hashlib.blake2s(start + before, digest_size=12).hexdigest()

    def left(self) -> int | None:
        """The number of lines left, as long as they go on being as long as they were."""
        with suppress(OSError, ValueError):
            if self._lines:
                left = os.fstat(self._file.fileno()).st_size - self._position
                read = self._position - self._began
                return max(0, round(left * self._lines / max(1, read)))
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _look_at_the_end(self, lines: list[bytes]) -> None:
        if os.fstat(self._file.fileno()).st_size < self._position:
            msg = (
                f"file {self.path} has become shorter while it was read, so lines of it may be "
                "lost; let who writes it append to it, or replace it as a whole"
            )
            raise PermanentError(msg)
        if self._whole_lines and lines and not lines[-1].endswith(b"\n"):
            lines.pop()
            self._astray = self.left_open = True


class TextFormat(Protocol):
    """What the lines of a file mean; of one reader at a time."""

    def begin(self, file: TextFile) -> int:
        """Read what stands before the first element; gives how many lines that is."""
        ...

    def read(self, file: TextFile, line: int) -> tuple[Batch, int]:
        """The elements in the next lines, from this one on, and how many lines; 0 at the end."""
        ...


class TextReader:
    """Reads the elements of a text file, on from where an earlier run was."""

    goes_on: ClassVar[bool] = True

    def __init__(self, path: str, text_format: TextFormat, *, whole_lines: bool = False) -> None:
        self._path = path
        self._format = text_format
        self._whole_lines = whole_lines
        self._file: TextFile | None = None
        self._line = 1
        self._number = 0
        self.began = Offset()

    def open(self) -> None:
        """Open the file, and read what stands before its first element."""
        self.close()
        self._file = TextFile(self._path, whole_lines=self._whole_lines)
        self._line, self._number = 1 + self._format.begin(self._file), 0

    def read(self) -> Batch | None:
        """The next elements."""
        file = self._file
        while file is not None:
            if self._whole_lines:
                self.began = Offset("", self._number, file.mark(self._line))
            batch, lines = self._format.read(file, self._line)
            if not lines:
                break
            self._line += lines
            self._number += len(batch.items)
            if batch.items:
                return batch
        return None

    @property
    def here(self) -> Offset:
        """Where the next lines begin."""
        at = {} if self._file is None else self._file.mark(self._line)
        return Offset("", self._number, at)

    def still(self, offset: Offset) -> bool:
        """Whether the file up to an offset of an earlier run is what it was."""
        return self._file is not None and self._file.is_still(offset.at)

    def go_to(self, offset: Offset, number: int) -> bool:  # noqa: ARG002  (it begins there)
        """Go on at an offset of an earlier run; False where the file is another one by now."""
        line = self._file.go_to(offset.at) if self._file is not None else None
        if line is None:
            return False
        self._line, self._number = line, offset.number
        return True

    def left(self) -> int | None:
        """Elements left, guessed from the length of lines so far."""
        return self._file.left() if self._file is not None else None

    @property
    def waits_for(self) -> str:
        """What was not read, since it may still be written."""
        return f"the last line of {self._path}" if self._file and self._file.left_open else ""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(path: str) -> tuple[BinaryIO, int]:
    """The file, and where its text begins."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (before opening: a pipe would block for ever)
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            msg = f"file {path} cannot be read: it is {what}"
            raise PermanentError(msg)
        file = Path(path).open("rb")  # noqa: SIM115  (closed by its owner)
    except FileNotFoundError as error:
        msg = f"file {path} does not exist (yet); create it, or mend the path"
        raise TemporaryError(msg) from error
    except OSError as error:
        raise fault(error, path, "read") from error
    try:
        start = os.pread(file.fileno(), SEEN_BYTES, 0)
    except OSError as error:
        file.close()
        raise fault(error, path, "read") from error
    other = foreign(start)
    if other is not None:
        file.close()
        msg = f"file {path} is {other[0]}, which cannot be read; {other[1]}"
        raise PermanentError(msg)
    begin = len(UTF8_MARK) if start.startswith(UTF8_MARK) else 0
    file.seek(begin)
    return file, begin
