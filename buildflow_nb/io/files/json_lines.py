"""JSON Lines files: one JSON value a line, UTF-8, as https://jsonlines.org has it.

The reader only tells lines apart. What is in one is decoded straight into the processor's type, so
that no value loses digits on the way, and a line that cannot be decoded fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from buildflow_nb.core.conversion.json_forms import json_lines
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.columns.layout import ELEMENT_FAULTS, write_sound
from buildflow_nb.io.files.appender import LOOK_BYTES, Appender
from buildflow_nb.io.files.foreign import UTF8_MARK
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.resuming.place import Place

__all__ = ("JsonLinesReader", "JsonLinesWriter")

_DECODER = msgspec.json.Decoder()


class JsonLinesReader:
    """Reads a JSON Lines file as lines; empty ones are skipped."""

    goes_on: ClassVar[bool] = True

    def __init__(self, path: str, *, whole_lines: bool = False) -> None:
        self._path = path
        self._name = Path(path).name
        self._whole_lines = whole_lines
        self._file: TextFile | None = None
        self._line = 1
        self._number = 0
        self.began = Place()

    def open(self) -> None:
        """Open the file."""
        self.close()
        self._file = TextFile(self._path, whole_lines=self._whole_lines)
        self._line, self._number = 1, 0

    def read(self) -> Batch | None:
        """The next lines, as bytes without their ends."""
        file = self._file
        if file is None:
            return None
        while True:
            if self._whole_lines:
                self.began = Place("", self._number, file.mark(self._line))
            lines = file.take(file.batch)
            if not lines:
                return None
            first, self._line = self._line, self._line + len(lines)
            batch = _batch(lines, first, self._name)
            self._number += len(batch.items)
            if batch.items:
                return batch

    @property
    def here(self) -> Place:
        """Where the next lines begin."""
        at = {} if self._file is None else self._file.mark(self._line)
        return Place("", self._number, at)

    def still(self, place: Place) -> bool:
        """Whether the file up to a place of an earlier run is what it was."""
        return self._file is not None and self._file.is_still(place.at)

    def go_to(self, place: Place, number: int) -> bool:  # noqa: ARG002  (it begins with the place)
        """Go on at a place of an earlier run; False where the file is another one by now."""
        line = self._file.go_to(place.at) if self._file is not None else None
        if line is None:
            return False
        self._line, self._number = line, place.number
        return True

    def left(self) -> int | None:
        """Lines left, guessed from their length so far."""
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


def _batch(lines: list[bytes], first: int, name: str) -> Batch:
    items = list(filter(None, map(bytes.strip, lines)))
    if len(items) == len(lines):
        return Batch(items, origin=lambda i: f"{name} line {first + i}")
    kept = [first + i for i, line in enumerate(lines) if line.strip()]
    return Batch(items, origin=lambda i: f"{name} line {kept[i]}")


class JsonLinesWriter:
    """Appends elements to a JSON Lines file; one that holds anything else is left as it is."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._appender = Appender(path, self._look)

    def open(self) -> None:
        """Make the file, or look at it, and mend it."""
        self._appender.mend()

    def write(self, items: Sequence[object]) -> None:
        """Append the items as lines."""
        write_sound(items, self._append, ELEMENT_FAULTS)

    def close(self) -> None:
        """Nothing is held open."""

    def _append(self, items: Sequence[object]) -> None:
        data = json_lines(items)
        self._appender.append(lambda _: data)

    def _look(self, start: bytes) -> None:
        """See whether the first line, as far as it is there, is JSON.

        Raises:
            PermanentError: it is not.
        """
        first = start.removeprefix(UTF8_MARK).lstrip().partition(b"\n")[0]
        if not first or (len(start) == LOOK_BYTES and len(first) > LOOK_BYTES // 2):
            return
        try:
            _DECODER.decode(first)
        except (ValueError, RecursionError) as error:
            if isinstance(error, RecursionError):
                return  # JSON, though of a kind that nobody reads
            msg = (
                f"file {self._path} is not JSON Lines (its first line is no JSON value), so "
                "nothing is appended to it; name another file, or another file_format"
            )
            raise PermanentError(msg) from error
