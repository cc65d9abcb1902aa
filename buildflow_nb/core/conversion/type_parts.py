"""What a type is made of: for whatever is compiled once by going through a type."""

from __future__ import annotations

import collections.abc
import typing
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from buildflow_nb.core.conversion.annotations import arms_of, is_pydantic, is_record, record_hints

__all__ = ("LISTS", "MAPS", "WRAPPERS", "bare", "fields_of", "origin_of", "reaches")

WRAPPERS = frozenset({"Required", "NotRequired", "ReadOnly", "Final", "ClassVar"})
MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
LISTS = (
    list,
    set,
    frozenset,
    collections.abc.Iterable,
    collections.abc.Sequence,
    collections.abc.Set,
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.Collection,
)


def bare(hint: Any) -> Any:
    """The hint without what says nothing of the form of values."""
    while True:
        if get_origin(hint) is typing.Annotated or _is_wrapped(hint):
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def _is_wrapped(hint: Any) -> bool:
    return getattr(get_origin(hint), "_name", None) in WRAPPERS


def origin_of(hint: Any) -> Any:
    """The class of a generic type, or the type."""
    return get_origin(hint) or hint


def fields_of(hint: Any) -> dict[str, Any]:
    """A record's fields, with the arguments of a generic one in place of its parameters."""
    origin = origin_of(hint)
    try:
        found = dict(record_hints(origin))
    except (NameError, TypeError):  # names that exist no more; it cannot be converted either
        return {}
    names = getattr(origin, "__parameters__", ())
    given = dict(zip(names, get_args(hint), strict=False))
    return {name: _substituted(kind, given) for name, kind in found.items()}


def _substituted(kind: Any, given: Mapping[Any, Any]) -> Any:
    if not given:
        return kind
    if kind in given:
        return given[kind]
    open_ = getattr(kind, "__parameters__", ())
    return kind[tuple(given.get(one, Any) for one in open_)] if open_ else kind


def reaches(hint: Any, wanted: typing.Callable[[Any], bool]) -> bool:
    """Whether a type that msgspec makes is `wanted`, or holds one that is."""
    return any(map(wanted, _inside(hint, set())))


def _inside(hint: Any, seen: set[Any]) -> Iterator[Any]:
    hint = bare(hint)
    if _known(hint, seen):
        return
    yield hint
    origin = origin_of(hint)
    if is_pydantic(origin) and not hasattr(origin, "__dataclass_fields__"):
        return  # pydantic makes what is in there
    parts = fields_of(hint).values() if is_record(origin) else get_args(hint)
    for part in (*(arms_of(hint) if len(arms_of(hint)) > 1 else ()), *parts):
        yield from _inside(part, seen)


def _known(hint: Any, seen: set[Any]) -> bool:
    try:
        if hint in seen:
            return True
        seen.add(hint)
    except TypeError:  # a Literal's value, or metadata, that has no hash
        return True
    return False
