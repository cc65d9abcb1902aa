"""Completion on `%buildflow` and `%%buildflow` lines: words from the tables, names from the cell.

After `source=` only names of things that can be read are offered, after `sink=` only those that
can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from buildflow_nb.core.commands import COMMANDS, Command, Option
from buildflow_nb.core.magic_syntax import KINDS, MAGIC, kind_words
from buildflow_nb.core.primitive import Readable, Writable
from buildflow_nb.notebook.manual import TOPICS
from buildflow_nb.notebook.session import Session

__all__ = ("cell_words", "line_words", "matcher")

LINE = "%buildflow"
METHODS = ('"GET"', '"POST"', '"PUT"', '"PATCH"', '"DELETE"')
_ABILITIES: Mapping[str, type] = {"source": Readable, "sink": Writable, "dead_letter": Writable}


def matcher(session: Session) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """The hook that IPython asks for completions."""

    @context_matcher(identifier="buildflow", priority=100)  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        typed = context.text_until_cursor
        fragment, words = _asked(session, context, typed)
        found = sorted({word for word in words if word.startswith(fragment)})
        return SimpleMatcherResult(
            completions=[SimpleCompletion(text=word, type="keyword") for word in found],
            suppress=bool(found),
            matched_fragment=fragment,
            ordered=True,
        )

    made: Callable[[CompletionContext], SimpleMatcherResult] = complete
    return made


def _asked(session: Session, context: CompletionContext, typed: str) -> tuple[str, Iterable[str]]:
    line = typed.lstrip()
    if context.cursor_line == 0 and line.startswith(f"{MAGIC} "):
        return cell_words(line[len(MAGIC) :], session.names)
    if line.startswith(f"{LINE} "):
        flow = session.bound()
        return line_words(line[len(LINE) :], tuple(flow.processors) if flow else ())
    return "", ()


def line_words(typed: str, processors: Iterable[str]) -> tuple[str, Iterable[str]]:
    """The word being typed after `%buildflow`, and what it may become."""
    words = typed.split()
    fragment = "" if not words or typed[-1:].isspace() else words.pop()
    if not words:
        return fragment, COMMANDS
    command = COMMANDS.get(words[0])
    if command is None or (command.rest and len(words) > 1):
        return fragment, ()
    awaited = _awaiting(command, words[-1])
    if awaited is not None:
        return fragment, awaited.choices
    found = [flag for option in command.options for flag in option.flags if flag not in words]
    return fragment, [*found, "--help", *_arguments(command, words[1:], processors)]


def _awaiting(command: Command, last: str) -> Option | None:
    """The option whose value comes next."""
    return next((o for o in command.options if last in o.flags and not o.flag), None)


def _arguments(command: Command, given: list[str], processors: Iterable[str]) -> Iterable[str]:
    wanted = {option.wants for option in command.options}
    if "topic" in wanted:
        return TOPICS
    return [name for name in processors if name not in given] if "processor" in wanted else ()


def cell_words(typed: str, names: Mapping[str, Any]) -> tuple[str, Iterable[str]]:
    """The word being typed after `%%buildflow`, and what it may become."""
    kind, space, arguments = typed.lstrip().partition(" ")
    if not space:
        return kind, KINDS
    if kind not in KINDS:
        return "", ()
    last = arguments.replace("(", ",").rpartition(",")[2].lstrip()
    word, equals, value = last.partition("=")
    if equals:
        return value.lstrip(), _values(word.strip(), names)
    given = {part.partition("=")[0].strip() for part in arguments.split(",")[:-1]}
    options = [f"{name}=" for name in kind_words(kind) if name not in given]
    return last, [*options, *_able(names, Readable if kind == "consumer" else Writable)]


def _values(word: str, names: Mapping[str, Any]) -> Iterable[str]:
    if word == "method":
        return METHODS
    ability = _ABILITIES.get(word)
    return _able(names, ability) if ability else ()


def _able(names: Mapping[str, Any], ability: type) -> list[str]:
    opener = "source" if ability is Readable else "sink"
    return [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and callable(getattr(type(value), opener, None))  # asks no object but likely ones
        and isinstance(value, ability)
    ]
