"""Dead letters as their elements: fields in columns, and why each is here.

A dead letter is a record about an element (`runtime/sinks/dead_letters.py`), so the element stands
in it as text. Whoever looks wants the element, and its error in a line; the rest is one look away,
in the letter itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from buildflow_nb.core.resource_look import Column, Content, ResourceLook

__all__ = ("with_elements",)

ELEMENT, ERROR, PROCESSOR = "element", "error", "processor_id"
_LETTER = (PROCESSOR, ELEMENT, ERROR, "traceback", "tries", "origin", "at")
WHY = "why it is here"
MOST_FIELDS = 40


def with_elements(look: ResourceLook) -> ResourceLook:
    """The look with the elements of its letters in columns; itself where they are no letters."""
    return replace(look, contents=tuple(map(_spread, look.contents)))


def _spread(content: Content) -> Content:
    names = [column.name for column in content.columns]
    if not content.elements or not set(_LETTER) <= set(names):
        return content
    rows = [dict(zip(names, row, strict=True)) for row in content.rows]
    elements = [_element(row[ELEMENT]) for row in rows]
    fields = list(dict.fromkeys(name for one in elements for name in one))[:MOST_FIELDS]
    before = [name for name in names[: names.index(PROCESSOR)] if name != "receives"]
    after = [name for name in names if name not in (*before, *_LETTER)]
    several = [PROCESSOR] if len({row[PROCESSOR] for row in rows}) > 1 else []
    heads = [*before, *several, *fields, WHY, "tries", *after]
    made = tuple(
        (
            *(row[name] for name in (*before, *several)),
            *(element.get(name) for name in fields),
            row[ERROR],
            row["tries"],
            *(row[name] for name in after),
        )
        for row, element in zip(rows, elements, strict=True)
    )
    return replace(content, title="Dead letters", columns=tuple(map(Column, heads)), rows=made)


def _element(text: object) -> Mapping[str, object]:
    """The fields of an element, or the one that stands for what has none."""
    found = text
    for _ in range(2):  # a text that is JSON, which may be the JSON of a text
        if isinstance(found, str):
            with suppress(ValueError, RecursionError):
                found = json.loads(found)
    return found if isinstance(found, dict) else {ELEMENT: found}
