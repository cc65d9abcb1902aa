"""A cell's text in pieces: each statement as it was typed, with the comments that belong to it.

Comments above a statement are its own, and so are those beside it and, indented, below its last
line. What a cell ends with belongs to its last statement.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

__all__ = ("Piece", "lines_of", "pieces")

_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement with comment lines `above` and `below` it; `gap` blank lines came before.

    `code` is its own text, which begins in the line `first` (from 1) of the cell's Python. `about`
    are comments above an import that a blank line parts from it.
    """

    node: ast.stmt
    code: str
    first: int
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    gap: int = 0
    about: tuple[str, ...] = ()


def lines_of(text: str) -> list[str]:
    """Lines as Python counts them; `str.splitlines` knows more ends of lines than Python does."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def pieces(text: str, tree: ast.Module) -> list[Piece]:
    """Take a cell apart, in its order."""
    lines = lines_of(text)
    found: list[Piece] = []
    ended = 0
    for at, node in enumerate(tree.body):
        follows = tree.body[at + 1].lineno if at + 1 < len(tree.body) else len(lines) + 1
        first, last = _first(node), node.end_lineno or node.lineno
        between = lines[ended : first - 1]
        if found:
            between = _indented(found, between)
        gap = _leading_blanks(between)
        about, comments = _parted(node, _trimmed(between), parted=_ends_blank(between))
        code = _code(lines, node, first, shared=first <= ended or follows <= last)
        found.append(Piece(node, code, first, tuple(comments), (), gap, tuple(about)))
        ended = max(ended, last)
    if found:
        _close(found, lines[ended:])
    return found


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _code(lines: list[str], node: ast.stmt, first: int, *, shared: bool) -> str:
    """The statement alone, and a comment beside it, without what else its lines may hold."""
    last = node.end_lineno or node.lineno
    rest = lines[last - 1].encode()[node.end_col_offset or 0 :].decode().strip()
    after = rest.lstrip("; \t")
    comment = f"  {after}" if after.startswith("#") else ""
    if not shared and not rest.startswith(";"):
        return "\n".join(lines[first - 1 : last])
    segment = ast.get_source_segment("\n".join(lines), node) or ast.unparse(node)
    return segment + comment


def _indented(found: list[Piece], between: list[str]) -> list[str]:
    """Give indented comments to the block above; what is left."""
    count = 0
    for at, line in enumerate(between, 1):
        if line.lstrip().startswith("#") and line[:1].isspace():
            count = at
        elif line.strip():
            break
    if count:
        last = found[-1]
        code = "\n".join([last.code, *(line.rstrip() for line in between[:count])])
        found[-1] = replace(last, code=code)
    return between[count:]


def _trimmed(lines: list[str]) -> list[str]:
    """Comment lines, with at most one blank line between two of them."""
    kept: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            kept.append(text)
        elif not text and kept and kept[-1]:
            kept.append("")
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _leading_blanks(lines: list[str]) -> int:
    return next((at for at, line in enumerate(lines) if line.strip()), len(lines))


def _ends_blank(lines: list[str]) -> bool:
    return bool(lines) and not lines[-1].strip()


def _parted(node: ast.stmt, comments: list[str], *, parted: bool) -> tuple[list[str], list[str]]:
    """What is about the cell, and what belongs to the statement; `parted` by a blank line."""
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return [], [*comments, ""] if comments and parted else comments
    if parted:
        return comments, []
    at = max((i for i, line in enumerate(comments) if not line), default=-1)
    return comments[: max(at, 0)], comments[at + 1 :]


def _close(found: list[Piece], rest: list[str]) -> None:
    below = tuple(_trimmed(_indented(found, rest)))
    if below:
        found[-1] = replace(found[-1], below=below)
