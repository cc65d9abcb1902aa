"""Values of Parquet as they are shown, without ever being unpacked whole.

A few hundred bytes of a file can stand for a gigabyte: a text that stands once in a dictionary and
is meant in each row, a list of a million of them. So a value is cut where Arrow has it, before
Python gets it; and what Python has no value for, such as a day of the year 20000, is told as text.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Any

from buildflow_nb.core.resource_look import Binary
from buildflow_nb.io.looks import HEAD_BYTES, MOST_TEXT, cell

__all__ = ("MOST_PARTS", "shown_value")

MOST_PARTS = 1_000  # values in one cell: items of lists, fields of structs, and what is in these
UTF8_MOST = 4  # bytes of a letter


def shown_value(scalar: Any) -> object:
    """A scalar of Arrow as it is shown; of long texts and lists their beginning, with `…`."""
    return _value(scalar, [MOST_PARTS])


def _value(scalar: Any, left: list[int]) -> object:
    import pyarrow as pa

    left[0] -= 1
    if not scalar.is_valid:
        return None
    wraps = (pa.DictionaryScalar, pa.ExtensionScalar)
    if isinstance(scalar, wraps) and type(scalar).__name__ != "UuidScalar":
        return _value(scalar.value, left)
    if isinstance(scalar, (pa.BinaryScalar, pa.StringScalar)):  # and all that derive from these
        return _text_or_bytes(scalar)
    if isinstance(scalar, pa.StructScalar):
        return _fields(scalar, left)
    if isinstance(scalar, pa.ListScalar):
        return _items(scalar, left)
    return _plain(scalar)


def _text_or_bytes(scalar: Any) -> object:
    import pyarrow as pa

    buffer = scalar.as_buffer()
    head = buffer.slice(0, min(buffer.size, UTF8_MOST * (MOST_TEXT + 1))).to_pybytes()
    if isinstance(scalar, pa.StringScalar):
        return cell(head.decode(errors="ignore"))
    if len(head) == buffer.size:
        return cell(head)
    try:  # the last letter may be cut
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return Binary(buffer.size, head[:HEAD_BYTES])
    found = cell(text.encode())
    return Binary(buffer.size, head[:HEAD_BYTES]) if isinstance(found, Binary) else found


def _items(scalar: Any, left: list[int]) -> list[object]:
    import pyarrow as pa

    pairs = isinstance(scalar, pa.MapScalar)
    found: list[object] = []
    for item in scalar.values:
        if left[0] <= 0:
            found.append("…")
            break
        if pairs:
            found.append((_value(item[0], left), _value(item[1], left)))
        else:
            found.append(_value(item, left))
    return found


def _fields(scalar: Any, left: list[int]) -> dict[str, object]:
    return {
        field.name: _value(scalar[i], left) if left[0] > 0 else "…"
        for i, field in enumerate(scalar.type)
    }


def _plain(scalar: Any) -> object:
    import pyarrow as pa

    try:
        return cell(scalar.as_py())
    except (OverflowError, ValueError, KeyError, pa.ArrowException):
        pass  # Python's dates are of the years 1 to 9999, its time zones those that it knows
    try:
        return str(scalar.cast(pa.string()).as_py())
    except pa.ArrowException:
        return f"{getattr(scalar, 'value', '')} ({scalar.type})".strip()
