"""Secrets that are told in comments and headings: by their shape, or in code that is commented out.

Nothing can take their place there, and a text for people that has a hole in it tells where the
secret was; so they are refused.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from buildflow_nb.export.code.secret_flow import flowing_into_secrets
from buildflow_nb.export.code.secret_sayings import told_in
from buildflow_nb.export.secret_names import shapes_in

__all__ = ("comments_in", "secrets_told")


def secrets_told(text: str) -> list[str]:
    """The secrets in a line for people."""
    plain = text.strip().lstrip("#").strip()
    found = [secret for _, secret in (*shapes_in(plain), *told_in(plain))]
    return found + [value for value in _in_code(plain) if value not in found]


def _in_code(line: str) -> Iterator[str]:
    """Texts that a line of code, commented out, gives to something secret."""
    try:
        tree = ast.parse(line.removesuffix(":") if line.startswith("@") else line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for text, _ in flowing_into_secrets([tree]).texts.values():
        value = text.value
        yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def comments_in(code: str) -> list[tuple[int, str]]:
    """The comments in some code, with their lines."""
    if "#" not in code:
        return []
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
