"""Reads text as Python, whatever it is: what cannot be read is a SyntaxError, and nothing else.

`ast.parse` has other roots of errors, too: half a character is a UnicodeEncodeError, and what is
nested too deeply for the parser a RecursionError or a MemoryError, by its kind and by version
("ast", warning at `ast.parse` in Python's library reference).
"""

from __future__ import annotations

import ast
import warnings
from typing import Literal, overload

__all__ = ("parse_python",)


@overload
def parse_python(text: str, mode: Literal["exec"] = ...) -> ast.Module: ...
@overload
def parse_python(text: str, mode: Literal["eval"]) -> ast.Expression: ...
def parse_python(text: str, mode: Literal["exec", "eval"] = "exec") -> ast.Module | ast.Expression:
    """The tree of a text; warnings about it are left to whoever runs it.

    Raises:
        SyntaxError: it is no Python; says so also of half a character, and of too deep nesting.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text) if mode == "exec" else ast.parse(text, mode="eval")
    except UnicodeEncodeError as error:
        row = text.count("\n", 0, error.start)
        column = error.start - (text.rfind("\n", 0, error.start) + 1)
        line = text.split("\n")[row]
        msg = f"half a character, U+{ord(text[error.start]):04X}"
        place = ("<unknown>", row + 1, column + 1, line)
        raise SyntaxError(msg, place) from error
    except (RecursionError, MemoryError) as error:
        msg = "nested too deeply"
        raise SyntaxError(msg, ("<unknown>", 1, 1, "")) from error
    except ValueError as error:  # a null character, in versions before 3.11.4
        raise SyntaxError(str(error), ("<unknown>", 1, 1, "")) from error
