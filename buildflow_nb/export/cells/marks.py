"""What a person says of a cell: skip it, or keep all of it.

Said by a comment, `# buildflow: skip` or `# buildflow: keep`, on the cell's first line (or right
below a `%%buildflow` line, which must be the first), or by a tag of the cell: `skip`, `keep`, or
the same with `buildflow:` or `buildflow-` before it. The comment overrules the tag, and of two
tags `skip` counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from buildflow_nb.commands.magic_syntax import MAGIC
from buildflow_nb.core.options import nearest

__all__ = ("KEEP", "SKIP", "mark_of", "tag_of", "unmarked", "wrong_mark")

SKIP, KEEP = "skip", "keep"
_MARKS = (SKIP, KEEP)
_NAME = "buildflow"


def mark_of(source: str) -> str:
    """What a comment says of its cell; "" where none does."""
    word = _word(source)[1]
    return word if word in _MARKS else ""


def wrong_mark(source: str) -> str:
    """What is wrong with a comment that means to say something of its cell; "" if all is well."""
    word = _word(source)[1]
    if not word or word in _MARKS:
        return ""
    return f"# buildflow: {word} says nothing{nearest(word, _MARKS)}; write skip or keep"


def tag_of(tags: Iterable[str]) -> str:
    """What the tags say of a cell; "" where none does."""
    said = {tag.strip().lower().removeprefix(f"{_NAME}:").removeprefix(f"{_NAME}-") for tag in tags}
    return next((mark for mark in _MARKS if mark in said), "")


def unmarked(source: str) -> str:
    """The cell with a blank line in place of the comment."""
    at, word = _word(source)
    if word not in _MARKS:
        return source
    lines = source.split("\n")
    lines[at] = ""
    return "\n".join(lines)


def _word(source: str) -> tuple[int, str]:
    """The line that says something of its cell, and what."""
    written = ((at, line.strip()) for at, line in enumerate(source.split("\n")) if line.strip())
    at, first = next(written, (0, ""))
    if first.partition(" ")[0] == MAGIC:
        at, first = next(written, (0, ""))
    if not first.startswith("#"):
        return at, ""
    name, colon, word = first.lstrip("#").partition(":")
    return (at, word.strip().lower()) if colon and name.strip().lower() == _NAME else (at, "")
