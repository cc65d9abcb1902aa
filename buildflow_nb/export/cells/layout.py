"""Lays out a decorator as Black and ruff do.

On one line, else its arguments on one line of their own, else an argument a line; and an argument
that is too long for its line in the same way.
Only the spaces between arguments change, and quotes; a text that holds comments stays as it is.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

__all__ = ("WIDTH", "laid_out")

WIDTH = 88  # of a line, in Black and in ruff
_INDENT = "    "


def laid_out(decorator: str) -> str:
    """A decorator that is a call, `@app.consumer(…)`, on as many lines as it takes."""
    text = _quoted(decorator[1:].strip())
    tree = ast.parse(text, mode="eval").body
    if not isinstance(tree, ast.Call) or ("#" in decorator and _has_comment(text)):
        return decorator
    return f"@{_call(text, tree, 1, 0)}"


def _has_comment(text: str) -> bool:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return any(token.type == tokenize.COMMENT for token in tokens)


def _quoted(text: str) -> str:
    """Double quotes, where single ones were typed and it makes no difference."""
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        inner = token.string[1:-1]
        single = token.type == tokenize.STRING and token.string[0] == "'" == token.string[-1]
        if single and not set(inner) & set("'\"\\\n"):
            row, (begin, end) = token.start[0] - 1, (token.start[1], token.end[1])
            lines[row] = f'{lines[row][:begin]}"{inner}"{lines[row][end:]}'
    return "\n".join(lines)


def _call(text: str, call: ast.Call, before: int, after: int, indent: str = "") -> str:
    """A call on lines of at most WIDTH; `before` and `after` are what else stands beside it."""
    head = _segment(text, call.func)
    parts = list(_arguments(text, call))
    flat = [words + shown for words, shown, _ in parts]
    line = f"{head}({', '.join(flat)})"
    exploded = any(isinstance(n, ast.Call) and _trails(text, n) for n in ast.walk(call))
    multiline = any("\n" in part for part in flat)
    if (len(indent) + before + len(line) + after <= WIDTH and not exploded) or multiline:
        return line
    inner = indent + _INDENT
    one = f"{inner}{', '.join(flat)}"
    if len(one) <= WIDTH and not exploded and parts:
        return f"{head}(\n{one}\n{indent})"
    rows = [
        f"{inner}{words}{shown if node is None else _call(text, node, len(words), 1, inner)},\n"
        for words, shown, node in parts
    ]
    return f"{head}(\n{''.join(rows)}{indent})"


def _arguments(text: str, call: ast.Call) -> Iterator[tuple[str, str, ast.Call | None]]:
    """The name of each argument with its sign, its text, and its call if it is one."""
    given = [("", value) for value in call.args]
    given += [(f"{word.arg}=" if word.arg else "**", word.value) for word in call.keywords]
    for name, value in sorted(given, key=lambda one: (one[1].lineno, one[1].col_offset)):
        yield name, _segment(text, value), value if isinstance(value, ast.Call) else None


def _segment(text: str, node: ast.expr) -> str:
    return ast.get_source_segment(text, node) or ast.unparse(node)


def _trails(text: str, call: ast.Call) -> bool:
    """Whether the last argument has a comma, by which a person asks for an argument a line."""
    return bool(call.args or call.keywords) and _segment(text, call)[:-1].rstrip().endswith(",")
