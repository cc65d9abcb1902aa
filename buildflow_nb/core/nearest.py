"""Words that a person may type, and the nearest right one to a wrong one.

Apart from the options that take them, because a command line that only gives help must not load
those.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from buildflow_nb.core.errors import UsageError

__all__ = ("LOG_LEVELS", "cut", "is_hidden", "nearest", "shown", "unknown_processor")

LONGEST = 60  # letters of a wrong word that are shown; an error is one line
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of characters, ends of lines
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: `; did you mean 'x'?`, or an empty string."""
    import difflib

    if len(word) > LONGEST:
        return ""  # comparing takes time that grows with both
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def cut(word: str) -> str:
    """A word as an error shows it: its beginning, where it is long."""
    return word if len(word) <= LONGEST else f"{word[:LONGEST]}…"


def shown(text: str, longest: int = LONGEST) -> str:
    """A text as an error shows it without quotes: its beginning, with what is hidden written out.

    A terminal obeys control characters, so those of a file never reach one.
    """
    short = text if len(text) <= longest else f"{text[:longest]}…"
    return "".join(repr(c)[1:-1] if is_hidden(c) else c for c in short)


def is_hidden(character: str) -> bool:
    """Whether a character is a control, half a character, or the end of a line."""
    return unicodedata.category(character) in _HIDDEN


def unknown_processor(processor_id: str, known: list[str]) -> UsageError:
    """The error for an id that names no processor, with the nearest that does."""
    names = ", ".join(known) or "none is declared"
    return UsageError(
        f"no processor {processor_id!r}{nearest(processor_id, known)} (there is: {names})"
    )
