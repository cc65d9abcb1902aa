"""Fields of a primitive, checked when it is declared: texts, and kinds of changes.

A name that is `None`, or an account that is a number, would break far from here, in an SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TypeVar

from buildflow_nb.core.errors import DeclarationError

__all__ = ("check_texts", "event_types_of")

E = TypeVar("E", bound=Enum)


def event_types_of(
    owner: str, kinds: type[E], given: Iterable[E | str], every: tuple[E, ...]
) -> tuple[E, ...]:
    """The event types given, each once: one or many, as members of `kinds` or as their names.

    None given means `every`, as the services have it. `kinds` has a member `UNKNOWN`, for what a
    service may send but not be asked for.

    Raises:
        DeclarationError: one cannot be subscribed to; `owner` opens the message.
    """
    alone = isinstance(given, (str, kinds)) or not isinstance(given, Iterable)
    values = (given,) if alone else tuple(given)
    names = ", ".join(kind.name for kind in kinds if kind.name != "UNKNOWN")
    if not values:
        return every
    try:
        found = tuple(dict.fromkeys(kinds(value) for value in values))
    except ValueError:
        found = ()
    if not found or "UNKNOWN" in (kind.name for kind in found):
        msg = f"{owner}: event_types must be of {names}, got {values!r}"
        raise DeclarationError(msg)
    return found


def check_texts(primitive: object, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Make sure that these fields of a primitive are texts, or `None` where they are optional.

    Raises:
        DeclarationError: one is something else.
    """
    for field in (*needed, *optional):
        value = getattr(primitive, field)
        if isinstance(value, str) or (value is None and field in optional):
            continue
        msg = f"{type(primitive).__name__}: {field} must be a text in quotes, got {value!r}"
        raise DeclarationError(msg)
