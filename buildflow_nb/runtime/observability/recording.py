"""A recording: real inputs of a processor with what they gave, in a file of JSON lines.

The first line says what it is: `processor`, `type`, `wire`, `at`, `version`. Every other line is
one input with its outputs, or with the error that it met. Values are `tagged_json.py`'s plain JSON,
so a file may come from anybody: reading it runs nothing. A file is written whole or not at all, and
only its owner may read it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buildflow_nb.core.conversion.annotations import is_unknown, type_name
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.project_folder import make_private, open_private, replacing
from buildflow_nb.runtime.observability.tagged_json import tagged

__all__ = (
    "FORMAT",
    "MAX_INPUTS",
    "Header",
    "Recorder",
    "Row",
    "header_of",
    "read_recording",
    "write_recording",
)

FORMAT = "buildflow recording"
VERSION = 1
MAX_INPUTS = 100_000
MAX_BYTES = 200 * 2**20  # of one recording, since it is in memory until it is written
_LONGEST_HEADER = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording says of itself; `shown` inputs are typed, with their secrets masked."""

    processor: str
    type: str
    wire: str
    at: float
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line: an input with its outputs or error, in tagged JSON; or what is wrong with it."""

    number: int
    input: Any = None
    outputs: Sequence[Any] = ()
    error: str = ""
    damage: str = ""


class Recorder:
    """Collects the next inputs of one processor; fed on the loop, waited for anywhere."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.lines: list[str] = []
        self.full = threading.Event()
        self._bytes = 0

    def take(self, input_: object, outputs: Iterable[object], error: str = "") -> None:
        """Keep one input with what became of it; secrets are masked already."""
        if self.full.is_set():
            return
        row: dict[str, Any] = {"input": _plain(input_)}
        if error:
            row["error"] = error
        else:
            row["outputs"] = [_plain(output) for output in outputs]
        self.take_lines((json.dumps(row),))

    def take_lines(self, lines: Iterable[str]) -> None:
        """Keep lines that a recorder elsewhere has made."""
        for line in lines:
            self._keep(line)

    def _keep(self, line: str) -> None:
        if self.full.is_set():
            return
        self.lines.append(line)
        self._bytes += len(line)
        if len(self.lines) >= self.wanted or self._bytes > MAX_BYTES:
            self.full.set()


def _plain(value: object) -> Any:
    try:
        return tagged(value)
    except Exception as error:  # noqa: BLE001  (a user's class; the processor must go on)
        return {"$repr": f"<{type(value).__name__}, which raised {type(error).__name__}>"}


def header_of(spec: ProcessorSpec, *, shown: bool) -> Header:
    """The header for a recording of this processor, made now."""
    if isinstance(spec, ConsumerSpec):
        hint, wire = spec.input_type, spec.source.source_wire
        wire = Wire.RECORD if wire is Wire.JSON else wire  # what is recorded are its values
        type_ = "" if is_unknown(hint) else type_name(hint)
    else:
        type_, wire = f"{spec.method} {spec.route}", Wire.OBJECT
    return Header(spec.id, type_, wire.value, time.time(), shown)


def write_recording(path: Path, header: Header, lines: Sequence[str]) -> None:
    """Write a recording, whole or not at all, for its owner's eyes only.

    Raises:
        UsageError: it cannot be written there.
    """
    first = {
        "format": FORMAT,
        "version": VERSION,
        "processor": header.processor,
        "type": header.type,
        "wire": header.wire,
        "at": header.at,
        "shown": header.shown,
        "inputs": len(lines),
    }
    try:
        make_private(path.parent)
        with replacing(path) as file:
            file.writelines(f"{line}\n".encode("ascii") for line in (json.dumps(first), *lines))
    except OSError as error:
        msg = f"the recording cannot be written to {path}: {error.strerror or error}"
        raise UsageError(msg) from error


def read_recording(path: Path) -> tuple[Header, list[Row]]:
    """The recording in a file; a damaged line is a row that says so.

    Raises:
        UsageError: it cannot be read, or is no recording.
    """
    try:
        handle = open_private(path, os.O_RDONLY)
        with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
            header = _header(path, file.readline(_LONGEST_HEADER))
            rows = [_row(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except OSError as error:
        msg = f"recording {path} cannot be read: {error.strerror or error}"
        raise UsageError(msg) from error
    return header, rows


def _header(path: Path, line: str) -> Header:
    try:
        found = json.loads(line)
        ours, version = found["format"] == FORMAT, int(found["version"])
        header = Header(
            str(found["processor"]),
            str(found["type"]),
            Wire(found["wire"]).value,
            float(found["at"]),
            bool(found["shown"]),
        )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _no_recording(path) from error
    if not ours:
        raise _no_recording(path)
    if version != VERSION:
        msg = f"{path} is a recording of version {version}; this is version {VERSION}, record anew"
        raise UsageError(msg)
    return header


def _no_recording(path: Path) -> UsageError:
    return UsageError(
        f"{path} is no recording (its first line does not say so); app.record(...) makes one"
    )


def _row(number: int, line: str) -> Row:
    try:
        found = json.loads(line)
        outputs = found.get("outputs", [])
        if "input" not in found or not isinstance(outputs, list):
            return Row(number, damage=f"line {number + 1} of the file has no input or no outputs")
        return Row(number, found["input"], outputs, str(found.get("error", "")))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return Row(number, damage=f"line {number + 1} of the file is damaged: {error}")
