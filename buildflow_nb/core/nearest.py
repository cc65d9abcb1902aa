"""Words that a person may type, and the nearest right one to a wrong one.

Apart from the options that take them, because a command line that only gives help must not load
those.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("LOG_LEVELS", "nearest")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: `; did you mean 'x'?`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
