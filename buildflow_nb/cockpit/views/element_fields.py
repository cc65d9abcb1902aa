"""An element as columns: its fields with their values, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.conversion.annotations import record_values

__all__ = ("fields_of_element", "fields_table", "heads_of")

MOST = 12  # fields that have a column; the rest stand in one
LONGEST = 80
LONGEST_JSON = 65_536  # bytes of a message that is read for its fields


def fields_of_element(element: object) -> dict[str, object]:
    """The fields of an element, {"": element} where it has none; JSON of an object has fields."""
    if isinstance(element, (bytes, str)):
        element = _of_json(element)
    found = record_values(element)
    return {"": element} if found is None else found


def _of_json(text: bytes | str) -> object:
    """The object that a message holds as JSON, or the message."""
    if len(text) > LONGEST_JSON or text[:1] not in (b"{", "{"):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) and found else text


def heads_of(elements: Iterable[Mapping[str, object]]) -> list[str]:
    """The columns of elements: each field once, in the order in which they came."""
    found: dict[str, None] = {}
    for each in elements:
        found |= dict.fromkeys(each)
    return list(found)[:MOST]


def cells_of(element: Mapping[str, object], heads: Sequence[str]) -> list[Cell]:
    """The values below those heads; numbers stand to the right."""
    return [_cell(element[head]) if head in element else ("", "") for head in heads]


def _cell(value: object) -> Cell:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = formats.shown(value, LONGEST)
    if isinstance(value, str):
        text = formats.clean(value, LONGEST).replace("\n", " ")
    return quote(text), "" if number else "l"


def fields_table(label: str, element: object) -> str:
    """One element as a table of one row; one without fields as a line of code."""
    found = fields_of_element(element)
    if list(found) == [""]:
        return f'<pre class="wrap">{quote(formats.shown(element))}</pre>'
    heads = heads_of([found])
    cells = cells_of(found, heads)
    made = markup.table(
        label, [(quote(h, 40), kind) for h, (_, kind) in zip(heads, cells, strict=True)], [cells]
    )
    return f'<div class="inset scroll" tabindex="0">{made}</div>'
