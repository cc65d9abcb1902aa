"""The headings in a notebook's text cells: `# Title`, `## Section`, or underlined ones.

A line inside a fenced block of code is no heading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ("Heading", "headings_in")

_FENCES = ("```", "~~~")
_DEEPEST = 6
_UNDERLINES = {"=": 1, "-": 2}


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading; `level` 1 is the highest."""

    level: int
    text: str


def headings_in(markdown: str) -> Iterator[Heading]:
    """All headings of a text cell, in order."""
    fence, above = "", ""
    for line in markdown.replace("\r\n", "\n").split("\n"):
        text = line.strip()
        if fence:
            fence = "" if text.startswith(fence) else fence
            continue
        fence = next((mark for mark in _FENCES if text.startswith(mark)), "")
        level = len(text) - len(text.lstrip("#"))
        if 1 <= level <= _DEEPEST and text[level : level + 1].isspace():
            yield from _made(level, text[level:].strip().rstrip("#"))
            text = ""
        elif above and text and not text.strip(text[0]) and text[0] in _UNDERLINES:
            yield from _made(_UNDERLINES[text[0]], above)
        above = text


def _made(level: int, text: str) -> Iterator[Heading]:
    plain = " ".join(text.replace("**", "").replace("__", "").split())
    if plain:
        yield Heading(level, plain)
