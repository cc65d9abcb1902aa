"""Which kinds of changes a stream of a bucket's changes is declared for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from buildflow_nb.core.errors import DeclarationError

__all__ = ("event_types_of",)

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
