"""Completion on `%buildflow` and `%%buildflow` lines: words from the tables, names from the cell.

Each word comes with its type, which front ends show beside it: `retries=` with `int`, a queue with
`SQSQueue`. After `source=` only names of things that can be read are offered, after `sink=` only
those that can be written; where there is none, what may make one. Python expressions and every
other line are left to IPython, but for the routes after `app.client().`, which it cannot know.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from buildflow_nb.commands.command import count, port, seconds
from buildflow_nb.commands.help_text import TOPICS
from buildflow_nb.commands.magic_syntax import KINDS, MAGIC
from buildflow_nb.commands.parsing import COMMANDS, HELP_FLAGS, Command, Option
from buildflow_nb.core.primitive import Readable, Writable
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.session import Session

__all__ = ("Asked", "Offer", "Scope", "cell_words", "line_words", "matcher")

_LINE = re.compile(r"\s*(?:[\w\s.,*\[\]]+=\s*)?%buildflow (?P<typed>.*)", re.DOTALL)
_CLIENT = re.compile(r"(?:.*[^\w.])?(?P<flow>[^\W\d]\w*)\.client\(\)\.(?P<typed>\w*)", re.DOTALL)
_ABILITIES: Mapping[str, type] = {"source": Readable, "sink": Writable, "dead_letter": Writable}
_PARSED: Mapping[Any, str] = {seconds: "duration", count: "int", port: "port"}
_OWN_TYPES = {"source": "Source", "sink": "Sink", "dead_letter": "Sink", "route": "str"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATHS = ("to", "folder", "notebook")  # the options that name a file or a folder
_MOST_FILES = 100  # a folder of a million is nobody's to choose from


@dataclass(frozen=True, slots=True)
class Offer:
    """A word, and its type as front ends show it."""

    text: str
    type: str = "keyword"


class Asked(NamedTuple):
    """The word being typed, and what it may become; `python` where IPython knows, too."""

    word: str
    offers: Sequence[Offer]
    python: bool = False


NOTHING = Asked("", ())
PYTHON = Asked("", (), python=True)


class _Silence(list[SimpleCompletion]):
    """No completions, in a form that lets them suppress others: IPython heeds only some."""

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be named: processors by id, stacks with their cloud, Python's names, a folder."""

    processors: Mapping[str, str] = field(default_factory=dict)
    stacks: Mapping[str, str] = field(default_factory=dict)
    managed: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
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
            {getattr(p, "primitive_id", ""): type(p).__name__ for p in flow.registry.managed},
            {one.name: one.key for one in flow.known_resources().values()},
            session.names,
            flow.config.folder,
        )


def matcher(session: Session) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """The hook that IPython asks for completions."""

    @context_matcher(identifier="buildflow", priority=100)  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        asked = _asked(session, context)
        found = dict.fromkeys(one for one in asked.offers if one.text.startswith(asked.word))
        offers = [SimpleCompletion(text=one.text, type=one.type) for one in found]
        return SimpleMatcherResult(
            completions=offers if offers or asked.python else _Silence(),
            suppress=bool(found) or not asked.python,
            matched_fragment=asked.word,
            ordered=True,
        )

    made: Callable[[CompletionContext], SimpleMatcherResult] = complete
    return made


def _asked(session: Session, context: CompletionContext) -> Asked:
    typed = context.text_until_cursor
    if context.cursor_line == 0 and typed.lstrip().startswith(f"{MAGIC} "):
        return cell_words(typed.lstrip()[len(MAGIC) :], session.own_names)
    line = _LINE.fullmatch(typed)
    if line is not None:
        return line_words(line["typed"], Scope.of(session))
    client = _CLIENT.fullmatch(typed)
    return PYTHON if client is None else _routes(session.names.get(client["flow"]), client["typed"])


def _routes(flow: object, typed: str) -> Asked:
    """What a flow's client can call; IPython calls no method to find that out."""
    if not isinstance(flow, Flow):
        return PYTHON
    return Asked(typed, [Offer(name, "function") for name in dir(flow.client())], python=True)


def line_words(typed: str, scope: Scope) -> Asked:
    """The word being typed after `%buildflow`, and what it may become."""
    words = typed.split()
    fragment = "" if not words or typed[-1:].isspace() else words.pop()
    if not words:
        commands = [Offer(name, "subcommand") for name in COMMANDS]
        return Asked(fragment, [*commands, *_help(fragment)])
    command = COMMANDS.get(words[0])
    if command is None:
        return NOTHING
    flag, equals, value = fragment.partition("=")
    awaited = _awaiting(command, flag if equals else words[-1])
    if awaited is not None:
        fragment = value if equals else fragment
        return Asked(fragment, list(_values_of(awaited, scope, fragment, ())))
    given = _by_position(command, words[1:])
    if command.rest and given:
        return PYTHON  # the element: JSON, or any Python
    flags = [
        Offer(flag, _type_of(option))
        for option in command.options
        for flag in option.flags
        if flag not in words
    ]
    place = _place(command, len(given))
    placed = () if place is None else _values_of(place, scope, fragment, given)
    return Asked(fragment, [*placed, *flags, Offer("--help", "flag"), *_help(fragment)])


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
    return placed[-1] if placed and placed[-1].many in ("*", "+") else None


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
    elif option.wants == "managed":
        known = scope.managed.items()
    elif option.wants == "resource":
        known = scope.resources.items()
        yield from (Offer(name, kind) for name, kind in known if name not in given)
    elif option.wants == "topic":
        yield from (Offer(topic, "topic") for topic in TOPICS)
    elif option.name == "file":
        yield from _recordings(scope.folder)
        yield from _files(fragment)
    elif option.name in _PATHS:
        yield from _files(fragment)


def _recordings(folder: Path) -> Iterator[Offer]:
    recordings = folder / PRIVATE / "recordings"
    known = sorted(recordings.glob("*")) if recordings.is_dir() else []
    for path in known[:_MOST_FILES]:
        yield Offer(shlex.quote(_near(path)), "recording")


def _files(fragment: str) -> Iterator[Offer]:
    """Whatever lies where the fragment points, from the working folder."""
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
        return Asked(kind, [*(Offer(name, "kind") for name in KINDS), *_help(kind)])
    if kind not in KINDS:
        return NOTHING
    if arguments.count("(") > arguments.count(")"):
        return PYTHON  # the arguments of a call of the user's
    last = arguments.rpartition(",")[2].lstrip()
    word, equals, value = last.partition("=")
    if equals:
        return _value(kind, word.strip(), value.lstrip(), names)
    if "." in last and '"' not in last and "'" not in last:
        return PYTHON
    given = {part.partition("=")[0].strip() for part in arguments.split(",")[:-1]}
    options = [
        Offer(f"{name}=", kind_) for name, kind_ in _typed(kind).items() if name not in given
    ]
    able = _able(names, Readable if kind == "consumer" else Writable, last)
    return Asked(last, [*options, *able, *_help(last)])


def _typed(kind: str) -> dict[str, str]:
    """The arguments of a kind, its own first, each with its type."""
    own = {name: _OWN_TYPES.get(name, "str") for name in KINDS[kind].arguments}
    options = {f.name: _OWN_TYPES.get(f.name, str(f.type)) for f in fields(KINDS[kind].options)}
    return {**own, **options}


def _value(kind: str, word: str, value: str, names: Mapping[str, Any]) -> Asked:
    if word == "method":
        methods = (*_METHODS, "WEBSOCKET") if kind == "endpoint" else _METHODS
        return Asked(value, [Offer(f'"{method}"', "str") for method in methods])
    if _typed(kind).get(word) in ("bool", "bool | None"):
        return Asked(value, [Offer("True", "bool"), Offer("False", "bool")])
    if value and not value.isidentifier():
        return PYTHON
    ability = _ABILITIES.get(word)
    if ability is None:
        return PYTHON if value else NOTHING
    return Asked(value, _able(names, ability, value))


def _able(names: Mapping[str, Any], ability: type, typed: str) -> list[Offer]:
    """The names of what fits; where none begins as typed, of what may lead to one."""
    opener = "source" if ability is Readable else "sink"
    found = [(name, names[name]) for name in sorted(names) if not name.startswith("_")]
    able = [
        Offer(name, type(value).__name__)
        for name, value in found
        if callable(getattr(type(value), opener, None))  # asks no object but likely ones
        and isinstance(value, ability)
    ]
    if any(offer.text.startswith(typed) for offer in able):
        return able
    leading = ((name, _leads(value, opener)) for name, value in found)
    return [Offer(name, kind) for name, kind in leading if kind]


def _leads(value: object, opener: str) -> str:
    """What a thing is that may lead to one with this opener; "" where it does not."""
    if inspect.ismodule(value):
        return "module"
    if inspect.isclass(value):
        return "class" if hasattr(value, opener) else ""
    return "function" if inspect.isroutine(value) else ""
