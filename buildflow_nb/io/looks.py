"""What looks at all kinds of primitives share: faults told as a look, and messages as columns.

What a look raises is what a run would meet, so it says so in the same words. SDKs are loaded first,
and that is not held against whoever is asked: the deadline is for answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import (
    AbsentError,
    BuildFlowError,
    DeniedError,
    PermanentError,
)
from buildflow_nb.core.primitive import key_of, label_of
from buildflow_nb.core.resource_look import (
    Asked,
    Binary,
    Column,
    Content,
    ResourceLook,
    Standing,
)
from buildflow_nb.io.checks import UNREACHED

__all__ = (
    "TAKES_NOTHING",
    "cell",
    "message_content",
    "record_content",
    "rows_asked",
    "seen",
)

HEAD_BYTES = 16  # of what is no text
MOST_FIELDS = 40  # columns that messages are spread over; further fields stand together
MOST_TEXT = 2_000  # characters of one value
TAKES_NOTHING = "Looking takes nothing away and changes nothing."


async def seen(
    primitive: object,
    kind: str,
    look: Callable[[ResourceLook], Awaitable[ResourceLook]],
    *,
    load: Callable[[], Awaitable[object]] | None = None,
    within_s: float = 8.0,
) -> ResourceLook:
    """What `look` made of an empty look, or why it could not."""
    empty = ResourceLook(
        key_of(primitive), kind, label_of(primitive).partition(" ")[2], at=time.time()
    )
    try:
        if load is not None:
            await load()
        return await asyncio.wait_for(look(empty), within_s)
    except TimeoutError:
        said = f"no answer within {within_s:g} s"
        return replace(empty, standing=Standing.UNREACHED, said=said, cure=UNREACHED)
    except BuildFlowError as error:
        return _wrong(empty, error)
    except OSError as error:
        said = f"cannot be reached: {error}"
        return replace(empty, standing=Standing.UNREACHED, said=said, cure=UNREACHED)


def _wrong(empty: ResourceLook, error: BuildFlowError) -> ResourceLook:
    text = str(error)
    if isinstance(error, AbsentError):
        standing = Standing.ABSENT
    elif isinstance(error, (DeniedError, PermanentError)):
        standing = Standing.REFUSED
    else:
        standing = Standing.UNREACHED
    if "cannot be reached" in text:
        return replace(empty, standing=standing, said=text, cure=UNREACHED)
    said, found, cure = text.partition("; ")
    if not found:
        said, _, cure = text.partition(" (run ")
        cure = cure.removesuffix(")")
    return replace(empty, standing=standing, said=said, cure=cure)


def rows_asked(asked: Asked, most: int) -> int:
    """How many rows are shown."""
    return max(0, min(asked.rows, most))


def cell(value: object) -> object:
    """A value as it is shown: bytes that are no text by their length, secrets and depths cut."""
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes_shown(bytes(value))
    if isinstance(value, str) and len(value) > MOST_TEXT:
        return f"{value[:MOST_TEXT]}…"
    return value


def _bytes_shown(value: bytes) -> object:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Binary(len(value), value[:HEAD_BYTES])
    if any(ord(letter) < ord(" ") and letter not in "\t\r\n" for letter in text[:MOST_TEXT]):
        return Binary(len(value), value[:HEAD_BYTES])
    return cell(text)


def record_content(
    title: str,
    records: Sequence[Mapping[str, object]],
    types: Mapping[str, str] | None = None,
    said: str = "",
) -> Content:
    """Records as a table; without `types` its columns are the fields that any of them has."""
    names = list(types) if types is not None else list(_fields(records))
    columns = tuple(Column(name, (types or {}).get(name, "")) for name in names)
    rows = tuple(tuple(cell(record.get(name)) for name in names) for record in records)
    return Content(title, columns, rows, said, named_by="rows" if types is None else "store")


def message_content(
    messages: Sequence[tuple[Mapping[str, object], str | bytes]], said: str = ""
) -> Content:
    """Messages, each given as what is known of it and its body; fields of a JSON object in columns.

    What is known comes first; a body that is no JSON object is one column.
    """
    parsed = [(known, _parsed(body)) for known, body in messages]
    firsts = list(_fields([known for known, _ in parsed]))
    fields = list(_fields([body for _, body in parsed if isinstance(body, Mapping)]))
    shown, rest = fields[:MOST_FIELDS], fields[MOST_FIELDS:]
    whole = any(not isinstance(body, Mapping) for _, body in parsed)
    names = [*firsts, *shown, *(["more fields"] if rest else []), *(["body"] if whole else [])]
    rows = []
    for known, body in parsed:
        row: list[object] = [cell(known.get(name)) for name in firsts]
        is_record = isinstance(body, Mapping)
        record: Mapping[str, object] = body if isinstance(body, Mapping) else {}
        row += [cell(record.get(name)) for name in shown]
        if rest:
            row.append({name: record[name] for name in rest if name in record} or None)
        if whole:
            row.append(None if is_record else cell(body))
        rows.append(tuple(row))
    return Content("Messages", tuple(map(Column, names)), tuple(rows), said, named_by="rows")


def _parsed(body: str | bytes) -> object:
    """A body's JSON object, else the body."""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return body
    return found if isinstance(found, dict) else body


def _fields(records: Iterable[Mapping[str, object]]) -> dict[str, None]:
    return dict.fromkeys(name for record in records for name in record)
