"""What of a notebook stays behind, and why."""

from __future__ import annotations

from collections.abc import Iterator

from buildflow_nb.export.cells.reading import Notebook
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.code.selection import Selection
from buildflow_nb.export.report import LeftOut
from buildflow_nb.export.secrets.environment import MASK, Secrets
from buildflow_nb.export.secrets.names import is_secret_name

__all__ = ("left_out",)


def left_out(notebook: Notebook, selection: Selection, secrets: Secrets) -> Iterator[LeftOut]:
    """Lines that stay behind, in the notebook's order, without any secret."""
    places = {label: at for at, label in enumerate(notebook.labels)}
    last = len(places)
    found = _left_out(notebook, selection)
    for one in sorted(found, key=lambda one: (places.get(one.cell, last), one.line)):
        text = _masked_words(secrets.masked(one.text))
        yield LeftOut(one.cell, one.line, text, one.why)


def _left_out(notebook: Notebook, selection: Selection) -> Iterator[LeftOut]:
    taken = {id(statement) for statement in selection.statements}
    yield from notebook.left_out
    for statement in notebook.statements:
        if id(statement) not in taken:
            first = statement.typed.strip().partition("\n")[0]
            why = _why(statement, selection.anew)
            yield LeftOut(statement.label, statement.line(), first, why)


def _why(statement: Statement, anew: dict[int, str]) -> str:
    if statement.is_magic:
        return "a magic"
    if statement.removed:
        return "taken out of the flow"
    if id(statement) in anew:
        return f"written anew in {anew[id(statement)]}"
    if statement.commands and not statement.declares:
        return "asks a running flow"
    return "deletes files" if statement.deletes else "not needed by the flow"


def _masked_words(text: str) -> str:
    """A line of a shell or a magic without `--token abc`, `password=abc` and `Bearer abc`."""
    words = text.split(" ")
    hide = False
    for at, word in enumerate(words):
        name, sign, value = word.partition("=")
        if hide and word:
            words[at], hide = MASK, False
        elif sign and value and _is_secret(name) and value[0] not in "=":
            words[at] = f"{name}={MASK}"
        else:
            hide = _is_flag(word) or word.strip("'\"") == "Bearer"
    return " ".join(words)


def _is_secret(name: str) -> bool:
    plain = name.strip("-'\"")
    return plain.replace("-", "_").isidentifier() and is_secret_name(plain)


def _is_flag(word: str) -> bool:
    return word.startswith("--") and "=" not in word and _is_secret(word)
