"""The text of main.py: imports, what the flow needs, its declarations, and a way to run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from buildflow_nb.export.imports import OURS, import_block, is_our_flow
from buildflow_nb.export.statement import APP, Statement

__all__ = ("program_text",)

_RUN = f'if __name__ == "__main__":\n    {APP}.run()'
_DOCUMENT = '"""A flow, exported from the notebook in which it was written."""'


def program_text(statements: Sequence[Statement]) -> str:
    """Write a program of statements that are in order."""
    wanted = {name for s in statements for name in s.names.wanted}
    early, rest = _parted(statements)
    imports = [statement.node for statement in early]
    made = _own_flow(statements)
    if made is not None:
        needed, line = made
        imports += ast.parse(needed).body
        wanted |= {"Flow", OURS}
    block = import_block(imports, wanted)
    text = "\n\n".join(part for part in (_DOCUMENT, block) if part)
    text += f"\n\n{line}" if made is not None else ""
    return "".join([text, *_spaced(rest, wanted), f"\n\n\n{_RUN}\n"])


def _own_flow(statements: Sequence[Statement]) -> tuple[str, str] | None:
    """The import and the line that make the flow, where no cell makes one."""
    if any(APP in s.names.bound for s in statements):
        return None
    if any("Flow" in s.names.bound and not is_our_flow(s.node) for s in statements):
        return f"import {OURS}", f"{APP} = {OURS}.Flow()"
    return f"from {OURS} import Flow", f"{APP} = Flow()"


def _parted(statements: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """The imports that can stand at the top, and everything else in order.

    Those after a statement that changes a module (`sys.path.insert(…)`) stay behind it, and so do
    those whose name is bound a second time.
    """
    imported = {n for s in statements if s.is_import for n in s.names.bound}
    others = {n for s in statements if not s.is_import for n in s.names.bound}
    early: list[Statement] = []
    rest: list[Statement] = []
    changed = False
    for statement in statements:
        free = statement.is_import and not changed and not statement.names.bound & others
        if free or _is_future(statement.node):
            early.append(statement)
        else:
            rest.append(statement)
            changed = changed or bool(imported & {*statement.changes(), statement.calls()})
    return early, rest


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _spaced(statements: Sequence[Statement], wanted: set[str]) -> Iterator[str]:
    """Statements with the blank lines between them that a person would leave."""
    last: Statement | None = None
    for statement in statements:
        text = statement.text.strip("\n")
        if statement.is_import:
            text = import_block([statement.node], wanted)
        if not text:
            continue
        block = any(s.is_block for s in (statement, last) if s is not None)
        apart = last is None or last.cell != statement.cell
        yield ("\n\n\n" if block else "\n\n" if apart else "\n") + text
        last = statement
