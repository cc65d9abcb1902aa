"""Reads cells into statements: magics become the decorators that they stand for, or stay behind.

IPython's own transformer turns what is no Python into calls of `get_ipython()`, so that the rest is
read from the syntax tree.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.magic_syntax import MAGIC, cell_source
from buildflow_nb.export.names import names_of
from buildflow_nb.export.ran_cell import RanCell
from buildflow_nb.export.report import LeftOut
from buildflow_nb.export.statement import Statement

__all__ = ("Notebook", "read")


@dataclass(slots=True)
class Notebook:
    """All statements in order; `lost` says of names that are bound where export cannot follow."""

    statements: list[Statement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)


def read(cells: Sequence[RanCell]) -> Notebook:
    """Read cells, in the order in which they ran."""
    found = Notebook()
    for index, cell in enumerate(cells):
        _read(found, index, cell)
    return found


def _read(found: Notebook, index: int, cell: RanCell) -> None:
    lines = cell.source.splitlines(keepends=True)
    blank = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    lines = lines[blank:]
    if not lines:
        return
    words = lines[0].split()
    if words[0].startswith("%%") and words[0] != MAGIC:
        _leave(found, cell, blank, lines, f"a cell of {words[0]}")
        return
    try:
        text, row = _python(words, lines)
        tree = ast.parse(text)
    except (BuildFlowError, SyntaxError):
        _leave(found, cell, blank, lines, "no Python by itself")
        return
    for at, node in enumerate(tree.body):
        before = tree.body[at - 1].end_lineno or 0 if at else 0
        follows = tree.body[at + 1] if at + 1 < len(tree.body) else None
        piece = _text(text, node, before, follows)
        shift = blank + _shift(tree, node, row, len(lines) - len(text.splitlines()))
        found.statements.append(
            Statement(index, cell.number or index, cell.label, shift, piece, node, names_of(node))
        )


def _leave(found: Notebook, cell: RanCell, at: int, lines: list[str], why: str) -> None:
    found.left_out.append(LeftOut(cell.label, at + 1, lines[0].strip(), why))
    try:
        tree = ast.parse("".join(lines[1:]))
    except SyntaxError:
        return
    for node in tree.body:
        for name in names_of(node).bound:
            found.lost[name] = f"set in {cell.label}, {why}"


def _python(words: list[str], lines: list[str]) -> tuple[str, int]:
    """The Python that a cell stands for; lines before `row` stood under the magic line."""
    from IPython.core.inputtransformer2 import TransformerManager

    transformer: Any = TransformerManager()  # type: ignore[no-untyped-call]
    if words[0] != MAGIC:
        return transformer.transform_cell("".join(lines)), 0
    body = "".join(transformer.do_token_transforms(lines[1:]))
    source = cell_source(lines[0].lstrip()[len(MAGIC) :], body)
    return source.text, source.row


def _shift(tree: ast.Module, node: ast.stmt, row: int, shorter: int) -> int:
    """What to add to a line of the Python to get the cell's."""
    if (node.end_lineno or node.lineno) > row:
        return shorter
    decorators = (d for n in tree.body for d in getattr(n, "decorator_list", []))
    ours = next((d for d in decorators if d.lineno == row + 1), None)
    return 0 if ours is None else (ours.end_lineno or ours.lineno) - row


def _text(text: str, node: ast.stmt, before: int, follows: ast.stmt | None) -> str:
    """A statement as it was typed, with the comments right above and beside it."""
    lines = text.splitlines()
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    last = node.end_lineno or node.lineno
    if first <= before or (follows is not None and follows.lineno <= last):
        return ast.get_source_segment(text, node) or ast.unparse(node)
    while first - 1 > before and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first - 1 : last])
