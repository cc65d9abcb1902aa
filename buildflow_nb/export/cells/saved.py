"""A saved notebook: its cells in order, by nbformat's own documents (versions 3 and 4).

Nothing in the file is run, and outputs are skipped while it is read, however large they are. The
library `nbformat` is not needed for that, and would read them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.cells.ran_cell import label_of

__all__ = ("SavedCell", "SavedNotebook", "read_saved")

_PYTHONS = frozenset(("python", "python3", "ipython", "ipython3"))
_KNOWN = (3, 4)  # major versions of the format
_MEND = "save it once more in Jupyter, or name another file"


@dataclass(frozen=True, slots=True)
class SavedCell:
    """A cell of the file; `place` counts its cells of code from 1."""

    kind: str
    source: str
    place: int = 0
    cell_id: str | None = None
    number: int | None = None
    tags: tuple[str, ...] = ()
    failed: bool = False  # when it ran last before the file was saved

    @property
    def label(self) -> str:
        """How a person finds it: by its brackets, and its place, since those may be empty."""
        return label_of(self.number, self.place)


@dataclass(frozen=True, slots=True)
class SavedNotebook:
    """The file's cells; `at` is when it was saved, in seconds since 1970."""

    path: Path
    cells: tuple[SavedCell, ...]
    at: float


class _Output(msgspec.Struct):
    output_type: object = None  # "pyerr" is version 3's word for an error


class _Cell(msgspec.Struct):
    cell_type: str = ""
    source: str | list[str] = ""
    id: object = None
    execution_count: object = None
    metadata: dict[str, object] = {}
    outputs: msgspec.Raw = msgspec.Raw(b"[]")
    input: str | list[str] = ""  # these four are version 3's
    prompt_number: object = None
    level: object = None
    language: object = None


class _Sheet(msgspec.Struct):
    cells: list[_Cell] = []


class _Document(msgspec.Struct):
    nbformat: object = None
    metadata: dict[str, object] = {}
    cells: list[_Cell] | None = None
    worksheets: list[_Sheet] | None = None


def read_saved(path: Path) -> SavedNotebook:
    """Read a notebook file.

    Raises:
        UsageError: it is not there, no notebook, or one of another language; says what to do.
    """
    try:
        data = path.read_bytes()
        at = path.stat().st_mtime
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; name a notebook that is there"
        raise UsageError(msg) from error
    document = _document(path, data)
    if document.nbformat not in _KNOWN:
        msg = f"{path} is of notebook format {document.nbformat!r}, not 3 or 4; {_MEND}"
        raise UsageError(msg)
    sheets = document.worksheets or []
    cells = [cell for sheet in sheets for cell in sheet.cells]
    if document.cells is None and document.worksheets is None:
        msg = f"{path} is no notebook: it has no cells; {_MEND}"
        raise UsageError(msg)
    cells += document.cells or []
    _refuse_other_language(path, document, cells)
    return SavedNotebook(path, tuple(_saved(cells)), at)


def _document(path: Path, data: bytes) -> _Document:
    if not data.strip():
        msg = f"{path} is empty; {_MEND}"
        raise UsageError(msg)
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Document)
    except msgspec.ValidationError as error:
        msg = f"{path} is no notebook: {str(error)[:1].lower()}{str(error)[1:]}; {_MEND}"
        raise UsageError(msg) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(path, data)


def _lenient(path: Path, data: bytes) -> _Document:
    """Read what is JSON to Python alone: NaN in an output, half of a character."""
    try:
        whole = _whole(json.loads(data.decode("utf-8-sig")))
        return msgspec.json.decode(json.dumps(whole, allow_nan=False), type=_Document)
    except UnicodeDecodeError as error:
        msg = f"{path} is not in UTF-8 (byte {error.start + 1}), as a notebook is; {_MEND}"
        raise UsageError(msg) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        msg = f"{path} is no notebook: not JSON at {where} ({error.msg}); {_MEND}"
        raise UsageError(msg) from error
    except (msgspec.MsgspecError, RecursionError) as error:
        msg = f"{path} is no notebook: {error}; {_MEND}"
        raise UsageError(msg) from error


def _whole(value: object) -> object:
    """JSON without NaN, and without halves of characters, which can stand in no file."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return value


def _refuse_other_language(path: Path, document: _Document, cells: list[_Cell]) -> None:
    named = [
        _text(document.metadata.get("language_info"), "name"),
        _text(document.metadata.get("kernelspec"), "language"),
        *(str(cell.language) for cell in cells if cell.language),
    ]
    language = next((name for name in named if name), "python")
    if language.lower() not in _PYTHONS:
        msg = f"{path} is a notebook of {language}; only notebooks of Python can be exported"
        raise UsageError(msg)


def _text(record: object, key: str) -> str:
    found = record.get(key) if isinstance(record, dict) else None
    return found if isinstance(found, str) else ""


def _saved(cells: list[_Cell]) -> Iterator[SavedCell]:
    place = 0
    for cell in cells:
        source = _joined(cell.source) or _joined(cell.input)
        if cell.cell_type == "heading":
            level = cell.level if isinstance(cell.level, int) else 1
            yield SavedCell("markdown", f"{'#' * level} {source}")
        elif cell.cell_type != "code":
            yield SavedCell(cell.cell_type, source)
        else:
            place += 1
            yield SavedCell(
                "code", source, place, _id(cell), _number(cell), _tags(cell), _has_failed(cell)
            )


def _has_failed(cell: _Cell) -> bool:
    """Whether its outputs tell of an error; they are looked into only where they may."""
    if b"error" not in bytes(cell.outputs):
        return False
    try:
        outputs = msgspec.json.decode(cell.outputs, type=list[_Output])
    except (msgspec.MsgspecError, RecursionError):
        return False
    return any(output.output_type in ("error", "pyerr") for output in outputs)


def _joined(source: str | list[str]) -> str:
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _id(cell: _Cell) -> str | None:
    return cell.id if isinstance(cell.id, str) and cell.id else None


def _number(cell: _Cell) -> int | None:
    found = cell.execution_count if cell.execution_count is not None else cell.prompt_number
    return found if isinstance(found, int) else None


def _tags(cell: _Cell) -> tuple[str, ...]:
    found = cell.metadata.get("tags")
    return tuple(tag for tag in found if isinstance(tag, str)) if isinstance(found, list) else ()
