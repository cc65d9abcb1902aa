"""JSON Lines files: one JSON value a line, UTF-8, as https://jsonlines.org has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from buildflow_nb.core.annotations import is_named_tuple
from buildflow_nb.core.encode import json_bytes
from buildflow_nb.core.primitive import Batch, Malformed
from buildflow_nb.io._appender import Appender
from buildflow_nb.io._layout import ELEMENT_FAULTS, write_sound
from buildflow_nb.io._paths import fault
from buildflow_nb.io._text_file import TextFile

__all__ = ("JsonLinesReader", "JsonLinesWriter", "json_lines")

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


class JsonLinesReader:
    """Reads a JSON Lines file as plain values; empty lines are skipped."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextFile | None = None
        self._line = 1

    def open(self) -> None:
        """Open the file."""
        self.close()
        self._file = TextFile(self._path)
        self._line = 1

    def read(self) -> Batch | None:
        """The values of the next lines."""
        if self._file is None:
            return None
        while True:
            try:
                lines = list(islice(self._file.lines, self._file.batch))
            except OSError as error:
                raise fault(error, self._path, "read") from error
            if not lines:
                return None
            self._file.advance(len(lines))
            first, self._line = self._line, self._line + len(lines)
            batch = _batch(lines, first, Path(self._path).name)
            if batch.items:
                return batch

    def left(self) -> int | None:
        """Lines left, guessed from their length so far."""
        return self._file.left() if self._file is not None else None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _batch(lines: list[bytes], first: int, name: str) -> Batch:
    try:
        items: list[object] = _DECODER.decode_lines(b"".join(lines))
    except (msgspec.DecodeError, UnicodeDecodeError):
        items = []
    if len(items) == len(lines):
        return Batch(items, origin=lambda i: f"{name} line {first + i}")
    kept = [(first + i, _value(line)) for i, line in enumerate(lines) if line.strip()]
    return Batch([value for _, value in kept], origin=lambda i: f"{name} line {kept[i][0]}")


def _value(line: bytes) -> object:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Malformed(line, f"not JSON: {error}")


class JsonLinesWriter:
    """Appends elements to a JSON Lines file."""

    def __init__(self, path: str) -> None:
        self._appender = Appender(path)

    def open(self) -> None:
        """Make the file and mend it."""
        self._appender.mend()

    def write(self, items: Sequence[object]) -> None:
        """Append the items as lines."""
        write_sound(items, self._append, ELEMENT_FAULTS)

    def close(self) -> None:
        """Nothing is held open."""

    def _append(self, items: Sequence[object]) -> None:
        data = json_lines(items)
        self._appender.append(lambda _: data)


def json_lines(items: Sequence[object]) -> bytes:
    """The items, one JSON value a line.

    Raises:
        TypeError: part of one has no JSON form; the other `ELEMENT_FAULTS` too.
    """
    encode = _encoder(items)
    return encode(items)


def _encoder(items: Sequence[object]) -> Callable[[Sequence[object]], bytes]:
    """In one go, but for types that have a JSON form of their own."""
    own = any(hasattr(kind, "to_json") or is_named_tuple(kind) for kind in set(map(type, items)))
    return _one_by_one if own else _at_once


def _at_once(items: Sequence[object]) -> bytes:
    try:
        return _ENCODER.encode_lines(items)
    except TypeError:  # something that only `json_bytes` knows, a pydantic model, say
        return _one_by_one(items)


def _one_by_one(items: Sequence[object]) -> bytes:
    return b"".join(json_bytes(item) + b"\n" for item in items)
