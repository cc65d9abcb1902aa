"""What stands for something that could not be sent: a text where it would be shown."""

from __future__ import annotations

import reprlib
from typing import Any

__all__ = ("StandIn", "StandInError", "display", "stand_in", "text_of")

LONGEST = 500  # characters of a text that stands for something


class StandIn:
    """Shows as what it stands for; `kind` is the name of its class."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StandIn) and (other.kind, other.text) == (self.kind, self.text)

    def __hash__(self) -> int:
        return hash((self.kind, self.text))


class StandInError(Exception):
    """Stands for an error; `kind` is the name of its class."""

    def __init__(self, kind: str, text: str, shown: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown

    def __reduce__(self) -> tuple[Any, ...]:
        return StandInError, (self.kind, self.args[0], self.shown)


def stand_in(thing: object) -> StandIn | StandInError:
    """What stands for it. Never raises."""
    kind, shown = type(thing).__name__, text_of(thing)
    if not issubclass(type(thing), BaseException):  # what it says of its class may raise
        return StandIn(kind, shown)
    try:
        text = _bounded(str(thing))
    except BaseException:  # noqa: BLE001  (a user's own, which may raise anything)
        text = kind
    return StandInError(kind, text, shown)


def text_of(thing: object) -> str:
    """How something shows, in at most `LONGEST` characters. Never raises."""
    try:
        return _bounded(repr(thing) if type(thing) not in _CONTAINERS else _short.repr(thing))
    except BaseException:  # noqa: BLE001  (a user's own, which may raise anything)
        return f"<{type(thing).__name__}>"


_CONTAINERS = (list, tuple, dict, set, frozenset, str, bytes)
_short = reprlib.Repr()
_short.maxstring = _short.maxother = LONGEST
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = 20


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def display(*things: object, **_words: object) -> None:
    """What `display` of a notebook is where there is none: the text forms go to the log."""
    for thing in things:
        print(thing if isinstance(thing, str) else text_of(thing))  # noqa: T201  (captured)
