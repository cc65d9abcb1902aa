"""From the cells that ran to a folder that runs by itself; written only if all is well."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from buildflow_nb.core.config import FILE_NAME
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder import MAIN, check_folder, project_text, signed, write_files
from buildflow_nb.export.keys import refuse_keys
from buildflow_nb.export.program import program_text
from buildflow_nb.export.ran_cell import RanCell
from buildflow_nb.export.reading import Notebook, read
from buildflow_nb.export.report import ExportReport, LeftOut
from buildflow_nb.export.saved import saved_cells
from buildflow_nb.export.selection import select
from buildflow_nb.export.statement import APP, Statement

__all__ = ("export_flow",)


def export_flow(
    cells: Sequence[RanCell],
    folder: Path,
    *,
    notebook: Path | None = None,
    force: bool = False,
    package: bool = False,
) -> ExportReport:
    """Write the flow of a notebook as a project that runs by itself.

    `cells` are those that a kernel ran, in the order in which they first did; `notebook` is a saved
    file. Either alone will do; of both, the file says the order and the kernel what was run.
    `package` splits the program into modules. Work that was done in `folder` is only written over
    with `force`. No code of the notebook is run.

    Raises:
        UsageError: it cannot be exported; says why, by cell and line.
    """
    check_folder(folder, force=force)
    sources = tuple(cells) if notebook is None else saved_cells(notebook)
    if package:
        msg = "a package cannot be written yet; leave --package out"
        raise UsageError(msg)
    return _export(sources, folder)


def _export(sources: Sequence[RanCell], folder: Path) -> ExportReport:
    notebook = read(sources)
    statements = select(notebook)
    refuse_keys(statements)
    text = program_text(statements)
    _compile(text)
    texts = {MAIN: signed(text)}
    if not (folder / FILE_NAME).exists():
        texts[FILE_NAME] = project_text(folder)
    files = write_files(folder, texts)
    left_out = tuple(_left_out(sources, notebook, statements))
    return ExportReport(folder, files, left_out, tuple(_warnings(sources, statements, folder)))


def _compile(text: str) -> None:
    try:
        compile(text, MAIN, "exec", dont_inherit=True)
    except SyntaxError as error:
        wrong = text.splitlines()[(error.lineno or 1) - 1].strip()
        msg = f"the cells together are no program: {error.msg}: {wrong}; nothing was written"
        raise UsageError(msg) from error


def _left_out(
    cells: Sequence[RanCell], notebook: Notebook, kept: Sequence[Statement]
) -> Iterator[LeftOut]:
    taken = {id(statement) for statement in kept}
    yield from notebook.left_out
    for statement in notebook.statements:
        if id(statement) not in taken:
            why, text = _why(statement), statement.text
            if statement.is_magic:
                lines = cells[statement.cell].source.splitlines()
                text = lines[min(statement.line(), len(lines)) - 1]
            first = text.strip().partition("\n")[0]
            yield LeftOut(statement.label, statement.line(), first, why)


def _why(statement: Statement) -> str:
    if statement.is_magic:
        return "a magic"
    return "deletes files" if statement.deletes else "not needed by the flow"


def _warnings(cells: Sequence[RanCell], kept: Sequence[Statement], folder: Path) -> Iterator[str]:
    for cell in cells:
        if cell.failed_since:
            yield f"{cell.label} failed when it ran last; its source before that is exported"
    places: dict[str, dict[int, Statement]] = {}
    for statement in kept:
        for name in statement.names.bound if not statement.is_import else ():
            places.setdefault(name, {})[statement.cell] = statement
    for name, found in places.items():
        if len(found) > 1 and name != "_":
            where = " and ".join(statement.label for statement in found.values())
            what = "the flow" if name == APP else repr(name)
            yield f"{what} is set in {where}; in the program the last of them counts"
    for name in sorted(_modules(kept) - {"buildflow_nb"}):
        path = _beside_notebook(name)
        if path is not None and not path.resolve().is_relative_to(folder.resolve()):
            yield f"module {name!r} is the notebook's neighbour ({path.name}); copy it to {folder}"


def _modules(statements: Sequence[Statement]) -> set[str]:
    import ast

    nodes = [node for statement in statements for node in ast.walk(statement.node)]
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def _beside_notebook(name: str) -> Path | None:
    found = getattr(sys.modules.get(name), "__file__", None)
    path = Path(found) if found else None
    here = path is not None and path.parent in (Path.cwd(), Path.cwd() / name)
    return path if here else None
