"""Instances of dataclasses with slots, whose own way to be pickled leaves out what is no field.

That is what a base has slots for: a primitive's, of what it was declared as.
"""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ("parts_of",)

_OWN_WAY = getattr(dataclasses, "_dataclass_getstate")  # noqa: B009  (no public name)
_OTHERS = ("__dict__", "__weakref__")


def parts_of(thing: Any) -> tuple[Any, ...] | None:
    """How to make it with all that it has; None where its own way leaves nothing out."""
    kind = type(thing)
    reduces: tuple[object, object] = (kind.__reduce_ex__, kind.__reduce__)
    plain = reduces == (object.__reduce_ex__, object.__reduce__)
    if not plain or getattr(kind, "__getstate__", None) is not _OWN_WAY:
        return None
    fields = {field.name for field in dataclasses.fields(kind)}
    slots = [name for base in kind.__mro__ for name in _slots_of(base) if name not in fields]
    more = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    more |= {k: v for k, v in getattr(thing, "__dict__", {}).items() if k not in fields}
    if not more:
        return None
    make, args, state, *rest = thing.__reduce_ex__(5)
    return make, args, (state, more), *(rest or (None, None)), _set


def _slots_of(kind: type) -> list[str]:
    found = vars(kind).get("__slots__", ())
    names = [found] if isinstance(found, str) else list(found)
    head = f"_{kind.__name__.lstrip('_')}"
    return [
        f"{head}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in names
        if name not in _OTHERS
    ]


def _set(thing: Any, states: tuple[Any, dict[str, Any]]) -> None:
    state, more = states
    thing.__setstate__(state)
    for name, value in more.items():
        object.__setattr__(thing, name, value)
