"""One subcommand of `%buildflow` as data: its words, options, types, defaults and help."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ("WANTED", "Command", "Invocation", "Option", "count", "port", "seconds")

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Read a duration such as `30s`, `500ms`, `2m`, `1h` or `1.5` (seconds).

    Raises:
        ValueError: it is none of these.
    """
    unit = next((u for u in _UNITS_S if text.endswith(u) and text != u), "")
    number = float(text.removesuffix(unit)) * _UNITS_S.get(unit, 1.0)
    if not (0 < number < math.inf):
        raise ValueError(text)
    return number


def count(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def port(text: str) -> int:
    """Read a TCP port; 0 means any free one.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if not 0 <= number < 2**16:
        raise ValueError(text)
    return number


WANTED: dict[Any, str] = {
    seconds: "a duration such as 30s, 500ms or 2m",
    count: "a whole number above 0",
    port: "a port number, 0 to 65535",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument; `flags` empty means an argument by position.

    `many` is argparse's `nargs` for arguments; an option with "*" may be given again and again. A
    `flag` takes no value and means true; `off` is the one that means false. `wants` says what
    completes it: "processor", "topic", "stack", "file", "folder" or nothing.
    """

    name: str
    help: str
    flags: tuple[str, ...] = ()
    parse: Callable[[str], object] = str
    default: object = None
    choices: tuple[str, ...] = ()
    many: str | None = None
    flag: bool = False
    wants: str = ""
    off: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Every word that is typed for it."""
        return (*self.flags, self.off) if self.off else self.flags

    @property
    def explained(self) -> str:
        """What it is for, with its choices and its default."""
        text = f"{self.help} ({', '.join(self.choices)})" if self.choices else self.help
        return f"{text} (default {self.default})" if self.default is not None else text

    @property
    def shown(self) -> str:
        """How usage lines show it."""
        word = self.name.upper()
        if self.flags:
            choice = "|".join(self.choices) or word
            return f"[{self.flags[0]}]" if self.flag else f"[{self.flags[0]} {choice}]"
        return {"?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} ..."}.get(
            self.many or "", word
        )


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand; `rest` names the last argument, which takes the line as it was typed.

    With `bare`, that argument may be left out.
    """

    name: str
    help: str
    options: tuple[Option, ...] = ()
    rest: str = ""
    bare: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A parsed line: the subcommand and its values by name; `help` means that `-h` was given."""

    command: Command
    values: dict[str, Any] = field(default_factory=dict)
    help: bool = False
