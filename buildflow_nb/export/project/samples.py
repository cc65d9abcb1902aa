"""Samples for the tests of an exported project: one line of each processor's latest recording."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from buildflow_nb.core.conversion.secret_fields import MASK
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.report import ExportedProgram
from buildflow_nb.export.secrets.texts import secret_texts
from buildflow_nb.export.secrets.types import takes_secrets
from buildflow_nb.runtime.observability.recording import Row, read_recording

__all__ = ("SAMPLES", "sample_files")

SAMPLES = "tests/samples"
MAX_BYTES = 100 * 2**10  # a sample goes into git
_SHORTEST = 6  # characters of a value that is looked for; "1" is found everywhere


def sample_files(
    program: ExportedProgram, folder: Path | None, *, hidden: Sequence[str] = ()
) -> dict[str, str]:
    """A file for each processor that has a recording from which one line can be taken.

    No line is taken that holds one of the `hidden` texts, or what the program's secrets are here.
    """
    if folder is None or not folder.is_dir():
        return {}
    never = [json.dumps(value)[1:-1] for value in (*hidden, *_values(program)) if value]
    open_ = set(program.processors) - takes_secrets(program.modules)
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.jsonl"), key=_age):
        name = path.name.rsplit(".", 1)[0].partition("-")[0]
        text = _sample(path, name) if name in open_ else ""
        if text and not any(value in text for value in never):
            found[f"{SAMPLES}/{name}.jsonl"] = text
    return dict(sorted(found.items()))


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _values(program: ExportedProgram) -> list[str]:
    values = (os.environ.get(name, "") for name in program.secrets)
    return [value for value in values if len(value) >= _SHORTEST]


def _sample(path: Path, name: str) -> str:
    """A recording of one line, as text; nothing where none can be taken."""
    try:
        header, rows = read_recording(path)
    except UsageError:
        return ""
    if header.shown or header.processor != name:
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        first, *lines = file.read().splitlines()
    for row, line in zip(rows, (one for one in lines if one.strip()), strict=False):
        sound = len(line) <= MAX_BYTES and not row.damage and not row.error
        if sound and _whole(row) and not _has_secrets(row):
            return f"{json.dumps(json.loads(first) | {'inputs': 1})}\n{line}\n"
    return ""


def _whole(row: Row) -> bool:
    """Whether a line was recorded in full: no secret was masked, nothing is a mere repr."""
    return not any(
        part in (MASK, "$repr") for value in (row.input, row.outputs) for part in _parts(value)
    )


def _has_secrets(row: Row) -> bool:
    """Whether something in a line looks like a key or a password, by its name or its shape."""
    try:
        tree = ast.parse(repr((row.input, row.outputs)), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return True  # what cannot be looked into is not shown
    return bool(secret_texts(list(ast.walk(tree)), frozenset()))


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _parts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    else:
        yield value
