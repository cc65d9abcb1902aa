"""Whole Decimals where a type wants an int: databases give a sum of integers as a Decimal.

msgspec refuses them. So what did not convert is tried again with its whole Decimals as ints, and
only where the type says int; a Decimal with a fraction stays what it is, and is refused. What
converts at once costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, get_args

import msgspec

from buildflow_nb.core.conversion.annotations import arms_of, is_pydantic, is_record
from buildflow_nb.core.conversion.boundary import Many, One
from buildflow_nb.core.conversion.fields_written import fields_read
from buildflow_nb.core.conversion.type_parts import LISTS, MAPS, bare, origin_of, reaches

__all__ = ("with_whole_decimals",)

Change = Callable[[Any], Any]


def with_whole_decimals(converters: tuple[One, Many], hint: Any) -> tuple[One, Many]:
    """Converters that take whole Decimals for ints, for one and for a list."""
    change = _compiled(hint, {})
    if change is None:
        return converters
    convert, convert_many = converters

    def one(raw: Any) -> object:
        try:
            return convert(raw)
        except msgspec.ValidationError:
            changed = change(raw)
            if changed is raw:
                raise
        return convert(changed)

    def many(raws: Sequence[Any]) -> Sequence[object]:
        try:
            return convert_many(raws)
        except msgspec.ValidationError:
            changed = [change(raw) for raw in raws]
            if all(new is old for new, old in zip(changed, raws, strict=True)):
                raise
        return convert_many(changed)

    return one, many


def _compiled(hint: Any, made: dict[Any, _LaterPart]) -> Change | None:
    hint = bare(hint)
    if is_pydantic(hint) or not reaches(hint, lambda part: part is int):
        return None
    arms = arms_of(hint)
    if len(arms) > 1:
        return None if Decimal in arms else _union([_compiled(arm, made) for arm in arms])
    if hint is int:
        return _whole
    if not is_record(origin_of(hint)):
        return _container(hint, made)
    if hint not in made:
        made[hint] = _LaterPart()
        made[hint].change = _fields(hint, made)
    return made[hint]


def _container(hint: Any, made: dict[Any, _LaterPart]) -> Change | None:
    origin, args = origin_of(hint), get_args(hint)
    if origin in MAPS:
        one = _compiled(args[1], made)
        return one and _values(one)
    if origin in LISTS or (origin is tuple and args[-1] is Ellipsis):
        one = _compiled(args[0], made)
        return one and _items(one)
    return None


class _LaterPart:
    """What changes a record, which may be needed inside the record before it is there."""

    change: Change

    def __call__(self, value: Any) -> Any:
        return self.change(value)


def _whole(value: Any) -> Any:
    if type(value) is Decimal and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return value


def _union(changes: Sequence[Change | None]) -> Change:
    some = [change for change in changes if change is not None]

    def change(value: Any) -> Any:
        found = (one(value) for one in some)
        return next((changed for changed in found if changed is not value), value)

    return change


def _fields(hint: Any, made: dict[Any, _LaterPart]) -> Change:
    compiled = {n: _compiled(part, made) for n, part in fields_read(origin_of(hint)).items()}
    changes = {name: one for name, one in compiled.items() if one is not None}

    def change(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found = {name: one(value[name]) for name, one in changes.items() if name in value}
        if all(found[name] is value[name] for name in found):
            return value
        return {**value, **found}

    return change


def _values(one: Change) -> Change:
    def change(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found = {key: one(item) for key, item in value.items()}
        return value if all(found[key] is value[key] for key in found) else found

    return change


def _items(one: Change) -> Change:
    def change(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        found = [one(item) for item in value]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else found

    return change
