"""Reads cells into statements: magics become the decorators that they stand for, or stay behind.

IPython's own transformer turns what is no Python into calls of `get_ipython()`, so that the rest is
read from the syntax tree. A cell that is Python as it stands does not need it.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from tokenize import TokenError
from typing import Any

from buildflow_nb.commands.magic_syntax import MAGIC, cell_source, magic_first
from buildflow_nb.commands.parsing import HELP_FLAGS
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.python_text import parse_python
from buildflow_nb.export.cells.document import Cell, Document
from buildflow_nb.export.cells.layout import laid_out
from buildflow_nb.export.cells.marks import KEEP, SKIP, unmarked, wrong_mark
from buildflow_nb.export.cells.matching import defined_in
from buildflow_nb.export.cells.names import names_of
from buildflow_nb.export.cells.pieces import Piece, lines_of, pieces
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.report import LeftOut

__all__ = ("Notebook", "read")

_UNREADABLE = (BuildFlowError, SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(slots=True)
class Notebook:
    """All statements in order; `lost` says of names that are bound where export cannot follow.

    `labels` are those of the cells, in order.
    """

    statements: list[Statement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)


def read(document: Document, findings: Messages) -> Notebook:
    """Read the cells of a document, in its order."""
    labels = [cell.label for cell in document.cells]
    found = Notebook([], list(document.left_out), dict(document.lost), labels)
    runs = {cell.run for cell in document.cells}
    counted = None not in runs and len(runs) == len(document.cells)
    for index, cell in enumerate(document.cells):
        said = wrong_mark(cell.source)
        if said:
            findings.warn(f"{cell.label} line 1: {said}")
        run = cell.run if counted and cell.run is not None else index
        reading = _reading(index, cell, run)
        if reading.lines:
            _read(found, reading, findings)
    return found


@dataclass(frozen=True, slots=True)
class _Reading:
    """One cell that is read: its lines from the first that is not blank, after `blank` others."""

    index: int
    cell: Cell
    run: int
    lines: list[str]
    blank: int

    @property
    def words(self) -> list[str]:
        """Those of the first line."""
        return self.lines[0].split()


def _reading(index: int, cell: Cell, run: int) -> _Reading:
    lines = lines_of(unmarked(cell.source))
    blank = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    return _Reading(index, cell, run, magic_first(lines[blank:]), blank)


def _read(found: Notebook, reading: _Reading, findings: Messages) -> None:
    lines, words = reading.lines, reading.words
    if reading.cell.mark == SKIP:
        _leave(found, reading, "marked skip")
        return
    if words[0].startswith("%%") and (words[0] != MAGIC or _asks_for_help(words)):
        _leave(found, reading, f"a cell of {words[0]}")
        return
    try:
        text, row = _python(words, lines)
        made = _statements(reading, text, row)
    except _UNREADABLE as error:
        _unreadable(found, reading, error, findings)
        return
    found.statements += made


def _statements(reading: _Reading, text: str, row: int) -> list[Statement]:
    """The statements of a cell in Python."""
    tree = parse_python(text)
    shorter = len(reading.lines) - len(lines_of(text.removesuffix("\n")))
    own = row if reading.words[0] == MAGIC else -1
    made = [
        _statement(reading, at, piece, reading.blank + _shift(tree, piece.node, row, shorter), own)
        for at, piece in enumerate(pieces(text, tree))
    ]
    return [*made[:-1], *(replace(last, last=True) for last in made[-1:])]


def _statement(reading: _Reading, at: int, piece: Piece, shift: int, row: int) -> Statement:
    made = Statement(
        reading.index,
        reading.run,
        reading.cell.label,
        shift,
        piece.code,
        piece.node,
        names_of(piece.node, piece.code),
        at,
        reading.cell.section,
        piece.above,
        piece.below,
        piece.gap,
        reading.cell.mark == KEEP,
        reading.cell.source,
        piece.about,
    )
    ours = [d for d in getattr(piece.node, "decorator_list", []) if d.lineno == row + 1]
    return made if not ours else _with_decorator(made, piece, ours[0])


def _with_decorator(statement: Statement, piece: Piece, decorator: ast.expr) -> Statement:
    """Lay out the decorator that a magic line became, which was one line however long."""
    lines = piece.code.split("\n")
    begin, end = decorator.lineno - piece.first, (decorator.end_lineno or 0) - piece.first
    typed = "\n".join(lines[begin : end + 1])
    shown = laid_out(typed)
    if shown == typed:
        return statement
    made = statement.with_code("\n".join([*lines[:begin], *shown.split("\n"), *lines[end + 1 :]]))
    taller = len(made.code.split("\n")) - len(lines)
    return replace(made, shift=made.shift - taller)


def _asks_for_help(words: Sequence[str]) -> bool:
    return bool(set(words[1:]) & set(HELP_FLAGS)) or words[-1].endswith("?")


def _leave(found: Notebook, reading: _Reading, why: str) -> None:
    label, lines = reading.cell.label, reading.lines
    whole = "\n".join(lines)
    found.left_out.append(LeftOut(label, reading.blank + 1, lines[0].strip(), why, whole))
    for name in defined_in("\n".join(lines)):
        found.lost[name] = f"set in {label}, {why}"


def _unreadable(
    found: Notebook, reading: _Reading, error: BaseException, findings: Messages
) -> None:
    """A cell with an error in it stays behind, unless it declares."""
    ours = reading.words[0] == MAGIC
    said, at, why = str(error), reading.blank + 1, "no Python by itself"
    if isinstance(error, SyntaxError):
        said = error.msg
        at = reading.blank + (error.lineno or 1) + ours  # the body begins below our line
        why = f"no Python by itself: line {at}: {said}"
    _leave(found, reading, why)
    if ours or any(line.startswith(("@app.", MAGIC)) for line in reading.lines):
        where = f"{reading.cell.label} line {at}"
        findings.refuse(f"{where}: {said}; the cell declares a part of the flow, so mend it")


def _python(words: list[str], lines: list[str]) -> tuple[str, int]:
    """The Python that a cell stands for; lines before `row` stood under the magic line."""
    if words[0] == MAGIC:
        line, body = lines[0].lstrip()[len(MAGIC) :], "\n".join(lines[1:])
        if not _is_python(body):
            body = _transformed(lines[1:])
        source = cell_source(line, body)
        return source.text, source.row
    text = "\n".join(lines) + "\n"
    return (text if _is_python(text) else _transformed_cell(text)), 0


def _is_python(text: str) -> bool:
    try:
        parse_python(text)
    except SyntaxError:
        return False
    return True


def _transformed(lines: list[str]) -> str:
    with _transformer() as transformer:
        return "".join(transformer.do_token_transforms([f"{line}\n" for line in lines]))


def _transformed_cell(text: str) -> str:
    with _transformer() as transformer:
        changed: str = transformer.transform_cell(text)
        return changed


@contextmanager
def _transformer() -> Iterator[Any]:
    """IPython's own; what it warns of is for whoever runs the cell.

    Raises:
        SyntaxError: it cannot make anything of a cell.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield TransformerManager()  # type: ignore[no-untyped-call]
        except (LookupError, TokenError) as error:
            raise SyntaxError(str(error)) from error


def _shift(tree: ast.Module, node: ast.stmt, row: int, shorter: int) -> int:
    """What to add to a line of the Python to get the cell's."""
    if (node.end_lineno or node.lineno) > row:
        return shorter
    decorators = (d for n in tree.body for d in getattr(n, "decorator_list", []))
    ours = next((d for d in decorators if d.lineno == row + 1), None)
    return 0 if ours is None else (ours.end_lineno or ours.lineno) - row
