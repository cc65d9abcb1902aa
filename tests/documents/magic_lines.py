"""The magics of README and docs, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ("DOCUMENTS", "blocks", "magic_lines", "quoted")

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCED = re.compile(r"^```(?:python|sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"`(%buildflow[^`]*)`")


def blocks(text: str) -> list[str]:
    """The fenced blocks of a document, in order."""
    return [found[1] for found in _FENCED.finditer(text)]


def magic_lines(text: str) -> list[str]:
    """The lines that begin with a magic of ours, fenced or indented, with their comments."""
    rows = (row.strip() for row in text.splitlines())
    return [row for row in rows if re.match(r"%buildflow(\s|$)", row)]


def quoted(text: str) -> Iterator[str]:
    """What is quoted inside a sentence or a table, without what leaves something open."""
    for found in _QUOTED.finditer(text):
        if not re.search(r"[…|]", found[1]):
            yield found[1]
