"""Code with where it stands and its lines, so that a traceback shows what the user wrote.

A cell is in no file, so its lines go with its code and are known over there under the same name.
"""

from __future__ import annotations

import linecache
import os
import types
from collections.abc import Callable
from typing import Any

__all__ = ("parts_of",)

_FILE_MAX = 1_000_000  # lines


def parts_of(
    code: types.CodeType, parts: tuple[Any, ...]
) -> tuple[Callable[..., types.CodeType], tuple[object, ...]]:
    """How to make code; `parts` is how to make it without these."""
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : last]
    return _made, (*parts, code.co_filename, code.co_firstlineno, lines)


def _made(
    make: Callable[..., types.CodeType],
    arguments: tuple[Any, ...],
    file: str,
    first: int,
    lines: list[str],
) -> types.CodeType:
    if lines and first + len(lines) < _FILE_MAX and not os.path.exists(file):  # noqa: PTH110
        known = linecache.cache.get(file)
        text = list(known[2]) if known is not None and len(known) > 1 else []
        text += ["\n"] * (first - 1 + len(lines) - len(text))
        text[first - 1 : first - 1 + len(lines)] = lines
        linecache.cache[file] = (sum(map(len, text)), None, text, file)
    return make(*arguments).replace(co_filename=file)
