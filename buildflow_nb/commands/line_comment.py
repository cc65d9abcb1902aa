"""Comments on a magic's line: ` # …` ends it as in Python, so that documents can be pasted from.

A `#` inside quotes, or in the middle of a word, is a character like any other.
"""

from __future__ import annotations

__all__ = ("without_comment",)


def without_comment(line: str) -> str:
    """The line up to its comment, if it has one."""
    quote, before = "", " "
    for at, letter in enumerate(line):
        if before == "\\":
            before = ""  # what is escaped neither quotes nor escapes
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#" and before.isspace():
            return line[:at].rstrip()
        before = letter
    return line
