"""JSON Lines files: one JSON value a line, UTF-8, as https://jsonlines.org has it.

What is read are lines, told apart. What is in one is decoded straight into the processor's type, so
that no value loses digits on the way, and a line that cannot be decoded fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from buildflow_nb.core.conversion.json_forms import json_lines
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.files.appender import LOOK_BYTES, Appender
from buildflow_nb.io.files.paths import UTF8_MARK
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.partial_push import ELEMENT_FAULTS, write_sound

__all__ = ("JsonLinesFormat", "JsonLinesWriter")

_DECODER = msgspec.json.Decoder()


class JsonLinesFormat:
    """Lines as bytes without their ends; empty ones are skipped."""

    def begin(self, file: TextFile) -> int:  # noqa: ARG002
        """Nothing stands before the first line."""
        return 0

    def read(self, file: TextFile, line: int) -> tuple[Batch, int]:
        """The next lines."""
        lines, name = file.take(file.batch), file.name
        items = list(filter(None, map(bytes.strip, lines)))
        if len(items) == len(lines):
            return Batch(items, origin=lambda i: f"{name} line {line + i}"), len(lines)
        kept = [line + i for i, one in enumerate(lines) if one.strip()]
        return Batch(items, origin=lambda i: f"{name} line {kept[i]}"), len(lines)


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
