"""The text of main.py: imports, types, set-up, declarations, and a way to run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from buildflow_nb.export.cells.headings import Heading
from buildflow_nb.export.cells.statement import APP, Statement
from buildflow_nb.export.code.arranging import DECLARATIONS, Arranged
from buildflow_nb.export.code.imports import OURS, Imports, is_our_flow

__all__ = ("RUN", "Outline", "docstring", "made_flow", "module_text", "program_text")

RUN = f'if __name__ == "__main__":\n    {APP}.run()'
_DOCUMENT = "A flow, exported from the notebook in which it was written."
_LONGEST_TITLE = 80
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a notebook says in between: its title, and headings by the section of its cells.

    `more` are imports that the program needs for what export itself put into it.
    """

    title: str = ""
    sections: Sequence[Sequence[Heading]] = ()
    imports: Imports = field(default_factory=Imports)
    more: tuple[str, ...] = ()


def program_text(arranged: Arranged, outline: Outline) -> str:
    """Write a program as one module."""
    text = module_text(arranged, outline, made_flow(arranged.all))
    return f"{docstring(outline.title)}\n\n{text}\n\n\n{RUN}\n"


def docstring(title: str, otherwise: str = _DOCUMENT) -> str:
    """A module's first line."""
    plain = title.replace("\\", "/").replace('"', "'").strip()
    if len(plain) > _LONGEST_TITLE:
        plain = f"{plain[: _LONGEST_TITLE - 1].rstrip()}…"
    if plain and plain[-1] not in ".!?…":
        plain += "."
    return f'"""{plain or otherwise}"""'


def made_flow(statements: Sequence[Statement]) -> tuple[str, str] | None:
    """The import and the line that make the flow, where no cell makes one."""
    if any(APP in s.names.bound for s in statements):
        return None
    if any("Flow" in s.names.bound and not is_our_flow(s.node) for s in statements):
        return f"import {OURS}", f"{APP} = {OURS}.Flow()"
    return f"from {OURS} import Flow", f"{APP} = Flow()"


def module_text(part: Arranged, outline: Outline, made: tuple[str, str] | None = None) -> str:
    """Imports and statements, with the flow made where it is needed first."""
    rest, groups = part.rest, part.groups
    wanted = {APP, *(name for s in rest for name in s.names.wanted)}  # which is run at the end
    more = (*outline.more, *([made[0]] if made else ()))
    chunks = [_Chunk(outline.imports.block(part.imports, wanted, more))]
    headed = _anchors(rest, groups)
    open_ = made
    last: Statement | None = None
    for statement in rest:
        if open_ is not None and groups[id(statement)] == DECLARATIONS:
            chunks.append(_Chunk(open_[1]))
            open_ = last = None
        late = outline.imports.block([statement], wanted) if statement.is_import else None
        if late == "":
            continue
        headings = (
            outline.sections[statement.section]
            if id(statement) == headed.get(statement.section)
            else ()
        )
        chunks.append(_chunk(statement, last, late, headings))
        last = statement
    if open_ is not None:
        chunks.append(_Chunk(open_[1]))
    return "".join(_joined([chunk for chunk in chunks if chunk.text]))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A text with the blank lines that it wants before it; `tall` ones want two around them."""

    text: str
    blanks: int = 1
    tall: bool = False
    tall_end: bool = False


def _joined(chunks: Sequence[_Chunk]) -> Iterator[str]:
    for at, chunk in enumerate(chunks):
        if at:
            tall = chunk.tall or chunks[at - 1].tall_end
            yield "\n" * (1 + (2 if tall else chunk.blanks))
        yield chunk.text


def _anchors(rest: Sequence[Statement], groups: Mapping[int, int]) -> dict[int, int]:
    """For each section the statement that its headings stand above, by identity."""
    found: dict[int, Statement] = {}
    for statement in rest:
        known = found.get(statement.section)
        declares = groups[id(statement)] == DECLARATIONS
        if known is None or (declares and groups[id(known)] != DECLARATIONS):
            found[statement.section] = statement
    return {section: id(statement) for section, statement in found.items()}


def _chunk(
    statement: Statement, last: Statement | None, late: str | None, headings: Sequence[Heading]
) -> _Chunk:
    tall = isinstance(statement.node, _BLOCKS)
    lines = [f"# {heading.text}" for heading in headings]
    above = list(statement.above) if late is None else []
    if above and not above[-1]:
        above[-1:] = ["", ""] if tall else [""]
    code = statement.code.strip("\n") if late is None else late
    below = [""] * (2 if tall else 1) + list(statement.below) if statement.below else []
    text = "\n".join([*lines, *above, code, *below])
    follows = last is not None and last.cell == statement.cell and last.at <= statement.at
    blanks = min(statement.gap, 1) if follows and not headings else 1
    if last is not None and (last.is_import or last.below):
        blanks = 1
    ends_tall = tall or _ends_tall(statement.node)
    return _Chunk(text, blanks, tall, ends_tall and not below)


def _ends_tall(node: ast.stmt) -> bool:
    """Whether the last line of an if, a try or the like is one of a function in it."""
    while True:
        parts = [getattr(node, part, None) for part in ("finalbody", "orelse", "body")]
        handlers = getattr(node, "handlers", [])
        inner = parts[0] or parts[1] or (handlers[-1].body if handlers else parts[2])
        if not isinstance(inner, list):
            return False
        node = inner[-1]
        if isinstance(node, _BLOCKS):
            return True
