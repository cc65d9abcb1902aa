"""A text file that is read line by line, some thousand lines at a time."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.io._paths import fault

__all__ = ("TextFile",)

BATCH_LINES = 1_000  # more gains nothing: a hop to a thread is 2 % of the time this takes
BATCH_BYTES = 4 << 20  # so that lines of megabytes come a few at a time
FIRST_LINES = 16  # until it is known how long lines are
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextFile:
    """An open file that knows how much to read next and how much is left."""

    def __init__(self, path: str) -> None:
        self.name = Path(path).name
        self._path = path
        self._position = 0
        self._lines = 0
        self._file = _open(path)

    @property
    def lines(self) -> BinaryIO:
        """The lines, as bytes, with their ends."""
        return self._file

    @property
    def batch(self) -> int:
        """How many lines to read now."""
        if not self._lines:
            return FIRST_LINES
        mean = max(1, self._position // self._lines)
        return max(1, min(BATCH_LINES, BATCH_BYTES // mean))

    def advance(self, lines: int) -> None:
        """Take note that so many lines were read."""
        self._position = self._file.tell()
        self._lines += lines

    def left(self) -> int | None:
        """The number of lines left, as long as they go on being as long as they were."""
        if not self._lines or self._file.closed:
            return None
        left = os.fstat(self._file.fileno()).st_size - self._position
        return max(0, round(left * self._lines / max(1, self._position)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: str) -> BinaryIO:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (before opening: a pipe would block for ever)
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            msg = f"file {path} cannot be read: it is {what}"
            raise PermanentError(msg)
        file = Path(path).open("rb")  # noqa: SIM115  (closed by its owner)
        start = file.read(len(UTF8_MARK))
    except FileNotFoundError as error:
        msg = f"file {path} does not exist (yet); create it, or mend the path"
        raise TemporaryError(msg) from error
    except OSError as error:
        raise fault(error, path, "read") from error
    if start.startswith(UTF16_MARKS):
        file.close()
        msg = f"file {path} is UTF-16, which cannot be read; save it as UTF-8"
        raise PermanentError(msg)
    if start != UTF8_MARK:
        file.seek(0)
    return file
