"""From a notebook to a folder that runs by itself; written only if all is well.

Everything is worked out first, from texts and syntax trees alone: no code of the notebook, and none
of the modules beside it, is run. What stands against the export is said all at once; only then is
the folder written, all of it or nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildflow_nb.core.config import find_config
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.cells.document import Document, document_of
from buildflow_nb.export.cells.headings import Heading
from buildflow_nb.export.cells.matching import matched
from buildflow_nb.export.cells.ran_cell import RanCell
from buildflow_nb.export.cells.reading import Notebook, read
from buildflow_nb.export.cells.saved import SavedNotebook, read_saved
from buildflow_nb.export.code.arranging import Arranged, arranged
from buildflow_nb.export.code.imported import Imported, imported_by
from buildflow_nb.export.code.imports import OURS, Imports, ours
from buildflow_nb.export.code.leaving import left_out
from buildflow_nb.export.code.local_paths import say_local_paths
from buildflow_nb.export.code.module_source import public_names
from buildflow_nb.export.code.neighbours import Neighbours, search_roots
from buildflow_nb.export.code.package import package_name, package_texts
from buildflow_nb.export.code.program import Outline, program_text
from buildflow_nb.export.code.removing import commands_of
from buildflow_nb.export.code.run_order import say_run_order, say_set_twice
from buildflow_nb.export.code.selection import Selection, select
from buildflow_nb.export.code.tidy import complaints, settled, tidied
from buildflow_nb.export.folder.folder import check_folder, write_files
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.project.files import project_files
from buildflow_nb.export.project.requirements import Requirements, requirements_of
from buildflow_nb.export.report import ExportedProgram, ExportReport
from buildflow_nb.export.secrets.environment import Secrets

__all__ = ("export_flow", "ran_of")

_MAIN = "main.py"
_RECORDINGS = Path(".buildflow") / "recordings"


def export_flow(  # noqa: PLR0913  (each is a choice of its own)
    cells: Sequence[RanCell],
    folder: Path,
    *,
    notebook: Path | None = None,
    force: bool = False,
    package: bool = False,
    tell: Callable[[Sequence[str]], None] = lambda _: None,
) -> ExportReport:
    """Write the flow of a notebook as a project that runs by itself.

    `cells` are those that a kernel ran, in the order in which they first did; `notebook` is a saved
    file. Either alone will do; of both, the file says the order and the kernel what was run.
    `package` splits the program into modules. Work that was done in `folder` is only written over
    with `force`. `tell` hears all that there is to look at, before anything is written. No code of
    the notebook is run.

    Raises:
        UsageError: it cannot be exported; says why, by cell and line, and all of it at once.
    """
    base = Path.cwd() if notebook is None else notebook.parent
    if _resolved(folder) == _resolved(base):
        msg = f"{folder} is the folder of the notebook; name another one, like shop"
        raise UsageError(msg)
    check_folder(folder, force=force)
    saved = None if notebook is None else read_saved(notebook)
    export = _Export(folder, base, Messages())
    program, requirements = export.program(cells, saved, package=package)
    project = find_config(base.resolve()).folder
    samples = project / _RECORDINGS
    files = project_files(program, requirements, folder, samples, hidden=export.secrets.values)
    for complaint in complaints({path: str(files[path]) for path in program.modules}):
        export.findings.warn(complaint)
    warnings = tuple(
        export.masked(text) for text in export.findings.in_order(export.findings.warnings)
    )
    tell(warnings)
    written = write_files(folder, files, force=force)
    return ExportReport(
        folder,
        written,
        tuple(left_out(export.notebook, export.selection, export.secrets)),
        warnings,
        program.secrets,
        program.commands,
        program.processors,
        requirements.wheel_command,
    )


def ran_of(notebook: Path, cells: Sequence[RanCell]) -> bool:
    """Whether some of these cells are those of a saved notebook.

    Raises:
        UsageError: it cannot be read.
    """
    code = [cell for cell in read_saved(notebook).cells if cell.kind == "code"]
    return bool(matched(code, cells))


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve()
    except (ValueError, RuntimeError, OSError) as error:  # a NUL, a loop of links
        msg = f"{str(folder)!r} can be no folder: {error}; name another one, like shop"
        raise UsageError(msg) from error


@dataclass(slots=True)
class _Export:
    """One export under way."""

    folder: Path
    base: Path
    findings: Messages
    notebook: Notebook
    selection: Selection
    secrets: Secrets

    def __init__(self, folder: Path, base: Path, findings: Messages) -> None:
        self.folder, self.base, self.findings = folder, base, findings
        self.notebook, self.selection = Notebook(), Selection()
        self.secrets = Secrets(findings)

    def program(
        self, cells: Sequence[RanCell], saved: SavedNotebook | None, *, package: bool
    ) -> tuple[ExportedProgram, Requirements]:
        """The program, and what it needs to be installed."""
        document = document_of(cells, saved, self.findings)
        self.notebook = read(document, self.findings)
        self.findings.labels = self.notebook.labels
        roots = search_roots(self.base, self.notebook.statements)
        stars: dict[str, frozenset[str]] = {}

        def star(node: ast.ImportFrom) -> frozenset[str] | None:
            module = "." * node.level + ours(node.module or "")
            found = public_names(module, roots)
            if found is not None:
                stars[module] = found
            return found

        self.selection = select(self.notebook, star, self.findings, roots)
        say_set_twice(self.selection.statements, self.findings)
        say_run_order(self.selection.statements, self.findings)
        order = arranged(self.selection, self.findings)
        self._without_secrets(order)
        say_local_paths(order.all, self.base, self.findings)
        neighbours = Neighbours(roots, self.findings, self.secrets)
        local = self._imported(order, neighbours, stars)
        requirements = requirements_of(list(neighbours.imports.values()))
        self._refuse_missing(requirements)
        self.findings.stop(self.masked)
        writes = Imports(local, stars, frozenset(neighbours.imports))
        modules = self._modules(order, document, writes, package=package)
        modules |= neighbours.modules
        modules = {path: self.secrets.swept(text, path) for path, text in modules.items()}
        self.findings.stop(self.masked)
        return self._made(document, order, modules, neighbours), requirements

    def masked(self, text: str) -> str:
        """A text for people."""
        return self.secrets.masked(text)

    def _without_secrets(self, order: Arranged) -> None:
        self.secrets.look_at(self.notebook.statements)
        bound = [s for s in order.all if "os" in s.names.bound]
        if any(not _binds_os(s.node) for s in bound):
            self.secrets.module = "_os"
        comments = settled(order.all)
        order.replace([comments.get(id(s), s) for s in order.all])
        order.replace(self.secrets.out_of(order.all))

    def _imported(
        self, order: Arranged, neighbours: Neighbours, stars: dict[str, frozenset[str]]
    ) -> frozenset[str]:
        """Follow what the program imports; the modules that stand in the project."""
        wanted = {name for s in order.rest for name in s.names.wanted}
        imports = Imports(stars=stars)
        found = [Imported(OURS, _MAIN)]
        for statement in order.all:
            at_top = statement.is_import
            node = imports.needed(statement, wanted) if at_top else statement.node
            found += imported_by(node, statement.where)
        neighbours.follow([_as_ours(one) for one in found])
        return frozenset(path.split("/")[0].removesuffix(".py") for path in neighbours.modules)

    def _refuse_missing(self, requirements: Requirements) -> None:
        for one in requirements.missing:
            self.findings.refuse(
                f"{one.where}: no installed package provides {one.module!r}, and no module beside "
                "the notebook; install it, so that the export can say of which version it is"
            )

    def _modules(
        self, order: Arranged, document: Document, imports: Imports, *, package: bool
    ) -> dict[str, str]:
        module = self.secrets.module
        line = "import os" if module == "os" else f"import os as {module}"
        sections = [
            [Heading(heading.level, self.secrets.heading(heading.text)) for heading in section]
            for section in document.sections
        ]
        title = self.secrets.heading(document.title)
        more = (line,) if self.secrets.used else ()
        outline = Outline(title, sections, imports, more)
        if not package:
            return {_MAIN: _tidy(program_text(order, outline), _MAIN)}
        imported = {name for s in order.imports for name in s.names.bound}
        taken = {*imports.local, *imported, *(m.partition(".")[0] for m in imports.installed)}
        name = package_name(self.folder.resolve().name, taken)
        local = replace(imports, local=imports.local | {name})
        outline = Outline(title, sections, local, more)
        texts = package_texts(order, outline, name)
        return {path: _tidy(text, path) for path, text in texts.items()}

    def _made(
        self,
        document: Document,
        order: Arranged,
        modules: dict[str, str],
        neighbours: Neighbours,
    ) -> ExportedProgram:
        name = self.folder.resolve().name
        return ExportedProgram(
            name,
            self.masked(document.title or name),
            modules,
            "main:app",
            tuple(neighbours.imports.values()),
            self.secrets.variables,
            tuple(dict.fromkeys(p for s in order.rest for p in s.processors)),
            tuple(self.masked(command) for command in commands_of(self.notebook.statements)),
        )


def _as_ours(one: Imported) -> Imported:
    return replace(one, module=ours(one.module))


def _binds_os(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) and any(a.name == "os" and not a.asname for a in node.names)


def _tidy(text: str, path: str) -> str:
    try:
        compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        wrong = text.splitlines()[(error.lineno or 1) - 1].strip()
        msg = f"the cells together are no program: {error.msg}: {wrong}; nothing was written"
        raise UsageError(msg) from error
    return tidied(text)
