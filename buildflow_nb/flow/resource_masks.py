"""Elements in a resource without their secrets, as the processors that use it declare them.

A resource holds secrets in the clear, since its elements are whole. What a look shows goes through
the types of all processors that read or write it: a field that one of them has for secret is one.
Names count without case, blanks and quotes. Where the columns do not name a field that is secret,
or a line has more or less than its header, nobody knows which value is one: all of it is masked.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from buildflow_nb.core.conversion.secret_fields import MASK, masker, secret_names
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.resource_look import Binary, Column, Content, ResourceLook

__all__ = ("has_secrets", "masked_look")

Rewrite = Callable[[object], object]
ELEMENT = "element"  # the field of a dead letter that holds what failed, as JSON
UNNAMED = ("body", "text", "value", "bytes")  # columns of what is no record
NUMBER = re.compile(r"\(\d+\)$")  # which columns of one name are shown with
REST = "more fields"  # the column of a message's fields that have none


@dataclass(frozen=True)
class Mask:
    """What one processor has for secret: `names` are, of each such field, those it may go by."""

    rewrite: Rewrite
    names: tuple[frozenset[str], ...] = ()

    @cached_property
    def spelled(self) -> Mapping[str, str]:
        """The names as the type has them, by how they compare."""
        return {_plain(name): name for names in self.names for name in sorted(names)}

    def known(self, names: Sequence[str]) -> list[str]:
        """Names of columns, those of secrets as the type has them."""
        return [self.spelled.get(_plain(name), name) for name in names]

    def missing(self, names: Sequence[str]) -> list[str]:
        """The secret fields that no column names."""
        found = {_plain(name) for name in names}
        return [min(one) for one in self.names if found.isdisjoint(map(_plain, one))]


def _plain(name: str) -> str:
    """A name as it compares: without case, blanks, quotes, what is not seen, and its number."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    bare = "".join(c for c in folded if c.isprintable() and not c.isspace() and c not in "\"'`")
    return NUMBER.sub("", bare)


def masked_look(look: ResourceLook, uses: Sequence[tuple[str, ProcessorSpec]]) -> ResourceLook:
    """The look without secrets."""
    masks = [mask for role, spec in uses for mask in _masks(role, spec)]
    if not masks:
        return look
    return replace(look, contents=tuple(_content(one, masks) for one in look.contents))


def has_secrets(uses: Sequence[tuple[str, ProcessorSpec]]) -> bool:
    """Whether its elements have secrets, as far as their types say."""
    return any(_masks(role, spec) for role, spec in uses)


def _masks(role: str, spec: ProcessorSpec) -> list[Mask]:
    if role == "dead letter":
        hints = [spec.input_type] if isinstance(spec, ConsumerSpec) else _parameters(spec)
        masks = [mask for mask in map(masker, hints) if mask is not None]
        return [Mask(_of_letters(mask), (frozenset({ELEMENT}),)) for mask in masks]
    if role == "source" and isinstance(spec, ConsumerSpec):
        hint: object = spec.input_type
    elif role == "sink":
        hint = getattr(spec, "output_type", None)
    else:
        return []
    mask = masker(hint)
    return [] if mask is None else [Mask(mask, secret_names(hint))]


def _parameters(spec: ProcessorSpec) -> list[object]:
    return [parameter.hint for parameter in spec.processor.parameters]


def _of_letters(mask: Rewrite) -> Rewrite:
    """Masks what stands as JSON in the field of a dead letter."""

    def masked(record: Any) -> object:
        if not isinstance(record, Mapping) or record.get(ELEMENT) is None:
            return record
        if not isinstance(record[ELEMENT], str):
            return {**record, ELEMENT: _applied(mask, record[ELEMENT])}
        shown: object = MASK
        with suppress(ValueError, RecursionError):
            value = json.loads(record[ELEMENT])
            if isinstance(value, str):
                value = json.loads(value)
            shown = json.dumps(_applied(mask, value), default=str, ensure_ascii=False)
        return {**record, ELEMENT: shown}

    return masked


def _applied(mask: Rewrite, value: object) -> object:
    try:
        return mask(value)
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return MASK


Row = tuple[object, ...]


def _content(content: Content, masks: Sequence[Mask]) -> Content:
    if not content.elements or not content.columns:
        return content
    names = [column.name for column in content.columns]
    if set(names) <= set(UNNAMED):
        return replace(content, rows=tuple(map(_hidden, content.rows)))
    missing = [] if content.named_by == "rows" else [n for m in masks for n in m.missing(names)]
    if missing:
        columns = tuple(Column(f"column {i + 1}") for i in range(len(names)))  # may be values, too
        rows = tuple(map(_hidden, content.rows))
        said = f"Nothing of it is shown: no column is named {', '.join(dict.fromkeys(missing))}."
        return replace(content, columns=columns, rows=rows, said=f"{said} {content.said}".strip())
    lines = content.named_by == "header"
    wide = sum(name != f"column {i + 1}" for i, name in enumerate(names))  # as the header has it
    return replace(
        content,
        rows=tuple(
            _hidden(row) if lines and not _fits(row, wide) else _row(names, row, masks)
            for row in content.rows
        ),
    )


def _fits(row: Row, wide: int) -> bool:
    """Whether a line has as many values as its header; where it has not, they are in no place."""
    return None not in row[:wide] and not any(value is not None for value in row[wide:])


def _hidden(row: Row) -> Row:
    return tuple(MASK for _ in row)


def _row(names: Sequence[str], row: Row, masks: Sequence[Mask]) -> Row:
    shown = row
    for mask in masks:
        changed = _one(mask.known(names), shown, mask.rewrite)
        if changed is None:
            return _hidden(row)
        shown = changed
    return tuple(_closed(name, value, masks) for name, value in zip(names, shown, strict=True))


def _one(names: Sequence[str], row: Row, rewrite: Rewrite) -> Row | None:
    """A row through one mask, of columns of one name each by itself; None where it is no record."""
    shown = list(row)
    left = list(range(len(row)))
    first = {names[i]: i for i in reversed(left)}
    while left:
        at = {names[i]: i for i in reversed(left)}
        record = _applied(rewrite, {name: row[i] for name, i in (first | at).items()})
        if not isinstance(record, Mapping):
            return None
        for name, i in at.items():
            shown[i] = record.get(name, MASK)
        left = [i for i in left if i not in at.values()]
    return tuple(shown)


def _closed(name: str, value: object, masks: Sequence[Mask]) -> object:
    """A value that may hold a secret outside the fields of a record."""
    if name == REST and isinstance(value, Mapping):
        keys = [str(key) for key in value]
        return dict(zip(keys, _row(keys, tuple(value.values()), masks), strict=True))
    return MASK if name in UNNAMED and isinstance(value, (str, Binary, list, dict)) else value
