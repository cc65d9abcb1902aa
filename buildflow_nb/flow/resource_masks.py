"""Elements in a resource without their secrets, as the processors that use it declare them.

A resource holds secrets in the clear, since its elements are whole. What a look shows goes through
the types of all processors that read or write it: a field that one of them has for secret is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from buildflow_nb.core.conversion.secret_fields import MASK, masker
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.resource_look import Content, ResourceLook

__all__ = ("has_secrets", "masked_look")

Mask = Callable[[object], object]
ELEMENT = "element"  # the field of a dead letter that holds what failed, as JSON
BODY = "body"  # a message that is no record


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
        return [_of_letters(mask) for mask in map(masker, hints) if mask is not None]
    if role == "source" and isinstance(spec, ConsumerSpec):
        hint: object = spec.input_type
    elif role == "sink":
        hint = getattr(spec, "output_type", None)
    else:
        return []
    mask = masker(hint)
    return [] if mask is None else [mask]


def _parameters(spec: ProcessorSpec) -> list[object]:
    return [parameter.hint for parameter in spec.processor.parameters]


def _of_letters(mask: Mask) -> Mask:
    """Masks what stands as JSON in the field of a dead letter."""

    def masked(record: Any) -> object:
        if not isinstance(record, Mapping) or not isinstance(record.get(ELEMENT), str):
            return record
        shown: object = MASK
        with suppress(ValueError, RecursionError):
            value = json.loads(record[ELEMENT])
            if isinstance(value, str):
                value = json.loads(value)
            shown = json.dumps(_applied(mask, value), default=str, ensure_ascii=False)
        return {**record, ELEMENT: shown}

    return masked


def _applied(mask: Mask, value: object) -> object:
    try:
        return mask(value)
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return MASK


def _content(content: Content, masks: Sequence[Mask]) -> Content:
    if not content.elements:
        return content
    names = [column.name for column in content.columns]
    return replace(content, rows=tuple(_row(names, row, masks) for row in content.rows))


Row = tuple[object, ...]


def _row(names: Sequence[str], row: Row, masks: Sequence[Mask]) -> Row:
    record: object = dict(zip(names, row, strict=True))
    for mask in masks:
        record = _applied(mask, record)
        if not isinstance(record, Mapping):
            return tuple(MASK for _ in row)
    assert isinstance(record, Mapping)  # noqa: S101  (the loop has looked)
    return tuple(
        MASK if name in (BODY, "text") and isinstance(value, str) else record.get(name, MASK)
        for name, value in zip(names, row, strict=True)
    )
