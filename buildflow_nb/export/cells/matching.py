"""Which cell of a file is which one that ran: by id, else by text, else by what it defines."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Sequence

from buildflow_nb.commands.magic_syntax import MAGIC
from buildflow_nb.export.cells.marks import unmarked
from buildflow_nb.export.cells.ran_cell import RanCell
from buildflow_nb.export.cells.saved import SavedCell

__all__ = ("defined_in", "matched", "plain")


def plain(source: str) -> str:
    """A cell's text, without what makes no difference to what it does."""
    lines = unmarked(source).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def matched(code: Sequence[SavedCell], ran: Sequence[RanCell]) -> dict[int, int]:
    """Places in the file to places among those that ran; empty for another notebook's file."""
    pairs: dict[int, int] = {}
    ids = {cell.cell_id: at for at, cell in enumerate(ran) if cell.cell_id is not None}
    for at, cell in enumerate(code):
        if cell.cell_id in ids and cell.cell_id is not None:
            pairs[at] = ids[cell.cell_id]
    _by_text(pairs, code, ran)
    if pairs:
        _by_names(pairs, code, ran)
    return pairs


def _by_text(pairs: dict[int, int], code: Sequence[SavedCell], ran: Sequence[RanCell]) -> None:
    free: dict[str, list[int]] = {}
    taken = set(pairs.values())
    for at, cell in enumerate(ran):
        if at not in taken:
            free.setdefault(plain(cell.source), []).append(at)
    for at, saved in enumerate(code):
        same = free.get(plain(saved.source), []) if at not in pairs else []
        if same and saved.source.strip():
            pairs[at] = same.pop()


def _by_names(pairs: dict[int, int], code: Sequence[SavedCell], ran: Sequence[RanCell]) -> None:
    taken = set(pairs.values())
    open_ = {at: _made(cell.source) for at, cell in enumerate(ran) if at not in taken}
    for at, saved in enumerate(code):
        if at in pairs or not open_:
            continue
        names = _made(saved.source)
        same = [other for other, its in open_.items() if names & its]
        if same:
            pairs[at] = max(same)
            del open_[pairs[at]]


def defined_in(source: str) -> frozenset[str]:
    """The functions, classes and variables of a cell, as far as it can be read.

    Told by the words that lines begin with, so that a cell with an error in it, or with magics,
    tells of the rest.
    """
    lines = source.split("\n")
    imported = {name for line in lines for name in _imported(line)}
    return _made(source) | imported


def _made(source: str) -> frozenset[str]:
    """The same without what is imported, which many cells have in common."""
    found: set[str] = set()
    lines = source.split("\n")
    for line in lines[1:] if lines[0].startswith(MAGIC) else lines:
        words = _words(line)
        if words[:1] == ["async"]:
            words = words[1:]
        if len(words) > 1 and words[0] in ("def", "class"):
            found.add(words[1])
        elif len(words) > 1 and words[0].isidentifier() and words[1] in ("=", ":"):
            found.add(words[0])
    return frozenset(found - {"else", "try", "finally"})


def _words(line: str) -> list[str]:
    if not line or line[0].isspace():
        return []
    found: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            found.append(token.string)
            if len(found) == 3:  # noqa: PLR2004  (async def name)
                break
    except (tokenize.TokenError, SyntaxError, UnicodeEncodeError):  # the last since Python 3.12
        pass
    return found


def _imported(line: str) -> set[str]:
    if not line.startswith(("import ", "from ")):
        return set()
    try:
        (node,) = ast.parse(line).body
    except (SyntaxError, ValueError):
        return set()
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return set()
    return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
