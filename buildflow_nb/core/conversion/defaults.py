"""Dataclasses made whole: msgspec leaves a default where it is, on the class.

An instance then has the field, but not in its `__dict__`, and that is what `vars` shows and what
JSON is written from. So what was decoded gets its defaults before anybody sees it. Types without
such defaults, and with slots, cost nothing; the others a look at the size of a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args

from buildflow_nb.core.conversion.annotations import arms_of, is_named_tuple, is_pydantic, is_record
from buildflow_nb.core.conversion.boundary import Many, One
from buildflow_nb.core.conversion.type_parts import LISTS, MAPS, bare, fields_of, origin_of, reaches

__all__ = ("filler", "whole")

Fill = Callable[[Sequence[Any]], None]


def whole(converters: tuple[One, Many], hint: object) -> tuple[One, Many]:
    """Converters to a type, for one and for a list, whose values have all of their defaults."""
    fill = filler(hint)
    if fill is None:
        return converters
    convert, convert_many = converters

    def one(raw: Any) -> object:
        value = convert(raw)
        fill((value,))
        return value

    def many(raws: Sequence[Any]) -> Sequence[object]:
        values = convert_many(raws)
        fill(values)
        return values

    return one, many


def filler(hint: Any) -> Fill | None:
    """What gives decoded values of a type their defaults, in place; None where there are none."""
    return _compiled(hint, {})


def _compiled(hint: Any, made: dict[Any, _Later]) -> Fill | None:
    hint = bare(hint)
    if not reaches(hint, lambda part: bool(_hidden(part))):
        return None
    if len(arms_of(hint)) > 1:
        return _union([(arm, _compiled(arm, made)) for arm in arms_of(hint)])
    if not is_record(origin_of(hint)):
        return _container(hint, made)
    if hint not in made:
        made[hint] = _Later()
        made[hint].fill = _record(hint, made)
    return made[hint]


class _Later:
    """A record's filler, which may be needed inside the record before it is there."""

    fill: Fill

    def __call__(self, values: Sequence[Any]) -> None:
        self.fill(values)


def _hidden(hint: Any) -> dict[str, Any]:
    """The defaults of a dataclass that its instances do not show, by field."""
    kind: Any = origin_of(hint)
    if not (isinstance(kind, type) and is_dataclass(kind)) or not kind.__dictoffset__:
        return {}
    slots = {name for base in kind.__mro__ for name in getattr(base, "__slots__", ())}
    return {
        field.name: field.default
        for field in fields(kind)
        if field.default is not MISSING and field.name not in slots
    }


def _record(hint: Any, made: dict[Any, _Later]) -> Fill:
    kind = origin_of(hint)
    inner = [
        (name, fill)
        for name, part in fields_of(hint).items()
        if (fill := _compiled(part, made)) is not None
    ]
    hidden = _hidden(hint)
    fills = [] if not hidden else [_by_name(hidden) if _sets_more(kind) else _by_size(kind, hidden)]
    if inner:
        fills.append(_inside(inner, keyed=_is_keyed(kind)))
    return fills[0] if len(fills) == 1 else _both(*fills)


def _both(own: Fill, inner: Fill) -> Fill:
    def fill(values: Sequence[Any]) -> None:
        own(values)
        inner(values)

    return fill


def _sets_more(kind: Any) -> bool:
    """Whether instances may have more than their fields, so that their number says nothing."""
    return hasattr(kind, "__post_init__") or is_pydantic(kind)


def _by_size(kind: Any, hidden: dict[str, Any]) -> Fill:
    count = len(fields(kind))

    def fill(values: Sequence[Any]) -> None:
        for value in values:
            inside = value.__dict__
            if len(inside) < count:
                for name, default in hidden.items():
                    inside.setdefault(name, default)

    return fill


def _by_name(hidden: dict[str, Any]) -> Fill:
    def fill(values: Sequence[Any]) -> None:
        for value in values:
            inside = value.__dict__
            for name, default in hidden.items():
                if name not in inside:
                    inside[name] = default

    return fill


def _is_keyed(kind: Any) -> bool:
    return not (is_named_tuple(kind) or is_dataclass(kind)) and issubclass(kind, dict)


def _inside(inner: list[tuple[str, Fill]], *, keyed: bool) -> Fill:
    def fill(values: Sequence[Any]) -> None:
        for name, one in inner:
            if keyed:
                parts = [value.get(name) for value in values]
            else:
                parts = [getattr(value, name) for value in values]
            one([part for part in parts if part is not None])

    return fill


def _container(hint: Any, made: dict[Any, _Later]) -> Fill | None:
    origin, args = origin_of(hint), get_args(hint)
    if origin in MAPS:
        return _each(_compiled(args[1], made), mapping=True)
    if origin is tuple and args and args[-1] is not Ellipsis:
        return _places([_compiled(arg, made) for arg in args])
    if origin in LISTS or origin is tuple:
        return _each(_compiled(args[0], made), mapping=False)
    return None


def _each(one: Fill | None, *, mapping: bool) -> Fill | None:
    if one is None:
        return None

    def fill(values: Sequence[Any]) -> None:
        for value in values:
            parts = value.values() if mapping else value
            one([part for part in parts if part is not None])

    return fill


def _places(ones: list[Fill | None]) -> Fill:
    def fill(values: Sequence[Any]) -> None:
        for value in values:
            for part, one in zip(value, ones, strict=False):
                if one is not None and part is not None:
                    one((part,))

    return fill


def _union(arms: list[tuple[Any, Fill | None]]) -> Fill:
    table = [(_class_of(arm), one) for arm, one in arms if one is not None]

    def fill(values: Sequence[Any]) -> None:
        for value in values:
            for kind, one in table:
                if isinstance(value, kind):
                    one((value,))
                    break

    return fill


def _class_of(arm: Any) -> type:
    found = origin_of(bare(arm))
    return dict if not isinstance(found, type) or hasattr(found, "__total__") else found
