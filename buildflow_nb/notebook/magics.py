"""`%%buildflow KIND …` and `%buildflow SUBCOMMAND …`, thin: core parses, verbs do.

A good `%%buildflow` cell becomes Python source before IPython reads it, so the kernel runs it
natively: top-level await, display of the last value, tracebacks with the cell's own lines. A bad
one stays as it is and reaches the registered cell magic, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buildflow_nb.commands.help_text import manual
from buildflow_nb.commands.line_comment import without_comment
from buildflow_nb.commands.magic_syntax import KINDS, MAGIC, CellSource, cell_source, magic_first
from buildflow_nb.commands.parsing import COMMANDS, HELP_FLAGS, help_text, parse
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.errors import UsageError as BuildFlowUsageError
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.errors import UsageError
from buildflow_nb.notebook.session import NAME as FLOW
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.verbs import verb_of

__all__ = ("NAME", "magic", "transformer")

NAME = "buildflow"
Lines = list[str]


def transformer(shell: Any) -> Callable[[Lines], Lines]:
    """IPython's hook that turns a `%%buildflow` cell into the source that it stands for."""

    def transform(lines: Lines) -> Lines:
        lines = magic_first(lines)
        if not lines or not _is_ours(lines[0]):
            return lines
        words = lines[0].split()[1:]
        if set(words) & set(HELP_FLAGS):
            return [f"%{NAME} help {words[0] if words[0] in KINDS else ''}\n"]
        try:
            source = _source(shell, lines[0][len(MAGIC) :], lines[1:])
        except BuildFlowError:
            return [*lines, "\n"]  # the cell magic says it; it is not called on an empty body
        except SyntaxError:
            return ["\n", *lines[1:]]  # Python says it, with the right line
        if not isinstance(shell.user_ns.get(FLOW), Flow):
            return [*lines, "\n"]
        return _in_place(source)

    # Or a terminal would take the cell's first line for a whole program and run it at Enter.
    transform.has_side_effects = True  # type: ignore[attr-defined]
    return transform


def _is_ours(first: str) -> bool:
    words = first.split()
    return bool(words) and words[0] == MAGIC and not words[-1].endswith("?")


def _source(shell: Any, line: str, body: Lines) -> CellSource:
    text = "".join(body)
    plain = "".join(shell.input_transformer_manager.do_token_transforms(list(body)))
    if len(plain.splitlines()) != len(text.splitlines()):
        return cell_source(line, plain)  # a command over several lines became one
    return cell_source(line, text, plain=plain)


def _in_place(source: CellSource) -> Lines:
    """The source with every line where it stands in the cell, where a blank line makes room."""
    lines = source.text.splitlines(keepends=True)
    if source.row and not lines[source.row - 1].strip():
        del lines[source.row - 1]
        lines.insert(0, "\n")
    return lines


def magic(session: Session) -> Callable[..., object]:
    """The function behind both magics."""

    def buildflow(line: str, cell: str | None = None) -> object:
        try:
            if cell is None:
                return _line(session, line)
            _cell(session, line, cell)
        except (BuildFlowError, TimeoutError) as error:
            raise UsageError(str(error)) from error
        return None

    buildflow.__doc__ = manual()
    setattr(buildflow, "_ipython_magic_no_var_expand", True)  # noqa: B010  (braces are JSON here)
    return buildflow


def _line(session: Session, line: str) -> object:
    word = without_comment(line).strip().partition(" ")[0]
    if word in KINDS:
        msg = f"%{NAME}: {word} stands over a cell; like {KINDS[word].example}"
        raise BuildFlowUsageError(msg)
    asked = parse(line, alone="panel")
    if asked.help:
        say(help_text(asked.command))
        return None
    return verb_of(asked.command.name)(session, asked.values)


def _cell(session: Session, line: str, cell: str) -> None:
    word = line.strip().partition(" ")[0]
    if word in COMMANDS:
        msg = f"{MAGIC}: {word} takes no cell; like %{NAME} {COMMANDS[word].example}"
        raise BuildFlowUsageError(msg)
    shell = session.shell
    source = _source(shell, line, cell.splitlines(keepends=True))
    session.flow()  # says so if there is none
    shell.ex(shell.transform_cell(source.text))
