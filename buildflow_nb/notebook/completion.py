"""Completion on `%buildflow` and `%%buildflow` lines: words from the tables, names from the cell.

Each word comes with its type, which front ends show beside it: `retries=` with `int`, a queue with
`SQSQueue`. After `source=` only names of things that can be read are offered, after `sink=` only
those that can be written. Every other line is left to IPython.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from buildflow_nb.core.command import count, port, seconds
from buildflow_nb.core.commands import COMMANDS, HELP_FLAGS, Command, Option
from buildflow_nb.core.magic_syntax import KINDS, MAGIC
from buildflow_nb.core.primitive import Readable, Writable
from buildflow_nb.infra.deployment import PRIVATE
from buildflow_nb.notebook.manual import TOPICS
from buildflow_nb.notebook.session import Session

__all__ = ("Offer", "Scope", "cell_words", "line_words", "matcher")

_LINE = re.compile(r"\s*(?:[\w\s.,*\[\]]+=\s*)?%buildflow (?P<typed>.*)", re.DOTALL)
_ABILITIES: Mapping[str, type] = {"source": Readable, "sink": Writable, "dead_letter": Writable}
_PARSED: Mapping[Any, str] = {seconds: "duration", count: "int", port: "port"}
_OWN_TYPES = {"source": "Source", "sink": "Sink", "dead_letter": "Sink", "route": "str"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MOST_FILES = 100  # a folder of a million is nobody's to choose from


@dataclass(frozen=True, slots=True)
class Offer:
    """A word, and its type as front ends show it."""

    text: str
    type: str = "keyword"


Asked = tuple[str, Sequence[Offer]]  # the word being typed, and what it may become
NOTHING: Asked = ("", ())


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be named: processors by id, stacks with their cloud, Python's names, a folder."""

    processors: Mapping[str, str] = field(default_factory=dict)
    stacks: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    @classmethod
    def of(cls, session: Session) -> Scope:
        """What the kernel's flow knows."""
        flow = session.bound()
        if flow is None:
            return cls(names=session.names)
        return cls(
            {spec.id: spec.kind for spec in flow.processors.values()},
            {stack.name: f"{stack.cloud} stack" for stack in flow.config.stacks.values()},
            session.names,
            flow.config.folder,
        )


def matcher(session: Session) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """The hook that IPython asks for completions."""

    @context_matcher(identifier="buildflow", priority=100)  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        fragment, offers = _asked(session, context)
        found = dict.fromkeys(offer for offer in offers if offer.text.startswith(fragment))
        return SimpleMatcherResult(
            completions=[SimpleCompletion(text=one.text, type=one.type) for one in found],
            suppress=bool(found),
            matched_fragment=fragment,
            ordered=True,
        )

    made: Callable[[CompletionContext], SimpleMatcherResult] = complete
    return made


def _asked(session: Session, context: CompletionContext) -> Asked:
    typed = context.text_until_cursor
    if context.cursor_line == 0 and typed.lstrip().startswith(f"{MAGIC} "):
        return cell_words(typed.lstrip()[len(MAGIC) :], session.names)
    line = _LINE.fullmatch(typed)
    return NOTHING if line is None else line_words(line["typed"], Scope.of(session))


def line_words(typed: str, scope: Scope) -> Asked:
    """The word being typed after `%buildflow`, and what it may become."""
    words = typed.split()
    fragment = "" if not words or typed[-1:].isspace() else words.pop()
    if not words:
        return fragment, [*(Offer(name, "subcommand") for name in COMMANDS), *_help(fragment)]
    command = COMMANDS.get(words[0])
    if command is None:
        return NOTHING
    flag, equals, value = fragment.partition("=")
    awaited = _awaiting(command, flag if equals else words[-1])
    if awaited is not None:
        fragment = value if equals else fragment
        return fragment, list(_values_of(awaited, scope, fragment, ()))
    given = _by_position(command, words[1:])
    if command.rest and given:
        return NOTHING  # the element: JSON, or any Python
    flags = [
        Offer(flag, _type_of(option))
        for option in command.options
        for flag in option.flags
        if flag not in words
    ]
    place = _place(command, len(given))
    placed = () if place is None else _values_of(place, scope, fragment, given)
    return fragment, [*placed, *flags, Offer("--help", "flag"), *_help(fragment)]


def _help(fragment: str) -> list[Offer]:
    return [Offer(flag, "flag") for flag in HELP_FLAGS] if fragment.startswith("-") else []


def _awaiting(command: Command, last: str) -> Option | None:
    """The option whose value comes next."""
    return next((o for o in command.options if last in o.flags and not o.flag), None)


def _by_position(command: Command, words: list[str]) -> list[str]:
    """The words that are neither flags nor values of flags."""
    found, value = [], False
    for word in words:
        if not value and not word.startswith("-"):
            found.append(word)
        value = _awaiting(command, word) is not None
    return found


def _place(command: Command, position: int) -> Option | None:
    """The argument that stands at a position, from 0."""
    placed = [option for option in command.options if not option.flags]
    if position < len(placed):
        return placed[position]
    return placed[-1] if placed and placed[-1].many == "*" else None


def _values_of(
    option: Option, scope: Scope, fragment: str, given: Sequence[str]
) -> Iterator[Offer]:
    if option.choices:
        yield from (Offer(choice, "choice") for choice in option.choices)
    elif option.wants == "processor":
        known = scope.processors.items()
        yield from (Offer(name, kind) for name, kind in known if name not in given)
    elif option.wants == "stack":
        yield from (Offer(name, cloud) for name, cloud in scope.stacks.items())
    elif option.wants == "topic":
        yield from (Offer(topic, "topic") for topic in TOPICS)
    elif option.name == "file":
        yield from _files(scope.folder, fragment)


def _files(folder: Path, fragment: str) -> Iterator[Offer]:
    """Recordings first, then whatever lies where the fragment points, from the working folder."""
    recordings = folder / PRIVATE / "recordings"
    known = sorted(recordings.glob("*")) if recordings.is_dir() else []
    for path in known[:_MOST_FILES]:
        yield Offer(shlex.quote(_near(path)), "recording")
    above, slash, start = fragment.rpartition("/")
    place = Path(above + slash).expanduser()
    try:
        there = sorted(path for path in place.glob(f"{_plain(start)}*") if path.exists())
    except (OSError, ValueError):
        return
    for path in there[:_MOST_FILES]:
        if path.name.startswith(".") and not start.startswith("."):
            continue
        end = "/" if path.is_dir() else ""
        yield Offer(shlex.quote(f"{above}{slash}{path.name}{end}"), "folder" if end else "path")


def _near(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _plain(text: str) -> str:
    """A text in which nothing is a pattern."""
    return re.sub(r"([\[*?])", r"[\1]", text)


def _type_of(option: Option) -> str:
    if option.flag:
        return "flag"
    if option.choices:
        return " | ".join(option.choices)
    return option.wants or _PARSED.get(option.parse, "str")


def cell_words(typed: str, names: Mapping[str, Any]) -> Asked:
    """The word being typed after `%%buildflow`, and what it may become."""
    kind, space, arguments = typed.lstrip().partition(" ")
    if not space:
        return kind, [*(Offer(name, "kind") for name in KINDS), *_help(kind)]
    if kind not in KINDS:
        return NOTHING
    last = arguments.replace("(", ",").rpartition(",")[2].lstrip()
    word, equals, value = last.partition("=")
    if equals:
        return value.lstrip(), _values(kind, word.strip(), names)
    given = {part.partition("=")[0].strip() for part in arguments.split(",")[:-1]}
    options = [
        Offer(f"{name}=", kind_) for name, kind_ in _typed(kind).items() if name not in given
    ]
    able = _able(names, Readable if kind == "consumer" else Writable)
    return last, [*options, *able, *_help(last)]


def _typed(kind: str) -> dict[str, str]:
    """The arguments of a kind, its own first, each with its type."""
    own = {name: _OWN_TYPES.get(name, "str") for name in KINDS[kind].arguments}
    options = {f.name: _OWN_TYPES.get(f.name, str(f.type)) for f in fields(KINDS[kind].options)}
    return {**own, **options}


def _values(kind: str, word: str, names: Mapping[str, Any]) -> list[Offer]:
    if word == "method":
        return [Offer(f'"{method}"', "str") for method in _METHODS]
    if _typed(kind).get(word) == "bool":
        return [Offer("True", "bool"), Offer("False", "bool")]
    ability = _ABILITIES.get(word)
    return _able(names, ability) if ability else []


def _able(names: Mapping[str, Any], ability: type) -> list[Offer]:
    opener = "source" if ability is Readable else "sink"
    found: Iterable[tuple[str, Any]] = sorted(names.items())
    return [
        Offer(name, type(value).__name__)
        for name, value in found
        if not name.startswith("_")
        and callable(getattr(type(value), opener, None))  # asks no object but likely ones
        and isinstance(value, ability)
    ]
