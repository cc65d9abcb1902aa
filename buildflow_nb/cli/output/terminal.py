"""Where a command speaks: plain lines, a live view in a terminal, or JSON for a program.

With `--json`, stdout holds JSON and nothing else: while a command runs, whatever is printed goes to
stderr. Colours and moving lines are for a terminal alone, and not where NO_COLOR or TERM=dumb says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ("Terminal", "Terminated", "as_typed_here", "lively", "plain")


class Terminated(KeyboardInterrupt):
    """A SIGTERM, heard as Ctrl-C is: before there was anything to finish."""


def lively(stream: TextIO) -> bool:
    """Whether a person looks at a stream that can show colours and change what it has shown."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return stream.isatty()


def as_typed_here(text: str) -> str:
    """Messages name commands as a notebook has them; a terminal has them without the sign."""
    return text.replace("%buildflow", "buildflow")


class Terminal:
    """The streams of one command; `json` where a program reads them."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self.out = sys.stdout
        self.lively = not json and lively(self.out)

    @contextmanager
    def kept_clean(self) -> Iterator[None]:
        """Let stdout hold nothing but JSON, if that was asked for."""
        if not self.json:
            yield
            return
        with redirect_stdout(sys.stderr):
            yield

    def say(self, text: str, *, verbatim: bool = False) -> None:
        """Tell a person; `verbatim` where lines of a notebook are quoted."""
        stream = sys.stderr if self.json else sys.stdout
        stream.write(f"{text}\n" if verbatim else as_typed_here(f"{text}\n"))
        stream.flush()

    def note(self, text: str) -> None:
        """Tell a person what is not the answer."""
        sys.stderr.write(as_typed_here(f"{text}\n"))
        sys.stderr.flush()

    def give(self, document: object, text: str, *, verbatim: bool = False) -> None:
        """Give the answer: as one line of JSON, or as text."""
        if self.json:
            self.line(document)
        else:
            self.say(text, verbatim=verbatim)

    def line(self, document: object) -> None:
        """One document of JSON, in a line of its own."""
        self.out.write(f"{json.dumps(plain(document), ensure_ascii=False)}\n")
        self.out.flush()

    def console(self) -> Console:
        """Rich's view of the terminal."""
        from rich.console import Console

        return Console(file=self.out, highlight=False)


Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """Give a value as dicts, lists, texts and numbers; what is none of these as its repr."""
    match value:
        case float():
            found: Plain = value if isfinite(value) else None  # JSON has no word for the others
        case None | bool() | int() | str():
            found = value
        case Enum():
            found = plain(value.value)
        case Mapping():
            found = {str(plain(key)): plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            found = [plain(inner) for inner in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            found = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            found = str(value) if isinstance(value, Path) else repr(value)
    return found
