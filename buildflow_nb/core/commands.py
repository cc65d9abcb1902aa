"""The subcommands of `%buildflow`: one table of words, options, types, defaults and help.

Line magics parse shell-style options from it, the command line reuses it, completion reads it.
Parsing never exits the process and never prints: a wrong word is a `UsageError` that names the
nearest right one, and `-h` anywhere gives help.
"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.options import LOG_LEVELS, nearest

__all__ = ("COMMANDS", "Command", "Invocation", "Option", "help_text", "parse", "seconds")

LINE = "%buildflow"
HELP_FLAGS = ("-h", "--help")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Read a duration such as `30s`, `500ms`, `2m`, `1h` or `1.5` (seconds).

    Raises:
        ValueError: it is none of these.
    """
    unit = next((u for u in _UNITS_S if text.endswith(u) and text != u), "")
    number = float(text.removesuffix(unit)) * _UNITS_S.get(unit, 1.0)
    if not (0 < number < math.inf):
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**16:
        raise ValueError(text)
    return number


_WANTED: dict[Any, str] = {
    seconds: "a duration such as 30s, 500ms or 2m",
    _count: "a whole number above 0",
    _port: "a port number, 0 to 65535",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument; `flags` empty means an argument by position.

    `many` is argparse's `nargs` for arguments; a `flag` takes no value and means true.
    `wants` says what completes it: "processor", "topic" or nothing.
    """

    name: str
    help: str
    flags: tuple[str, ...] = ()
    parse: Callable[[str], object] = str
    default: object = None
    choices: tuple[str, ...] = ()
    many: str | None = None
    flag: bool = False
    wants: str = ""

    @property
    def shown(self) -> str:
        """How usage lines show it."""
        word = self.name.upper()
        if self.flags:
            choice = "|".join(self.choices) or word
            return f"[{self.flags[0]}]" if self.flag else f"[{self.flags[0]} {choice}]"
        return {"?": f"[{word}]", "*": f"[{word} ...]"}.get(self.many or "", word)


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand; `rest` names the last argument, which takes the line as it was typed."""

    name: str
    help: str
    options: tuple[Option, ...] = ()
    rest: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A parsed line: the subcommand and its values by name; `help` means that `-h` was given."""

    command: Command
    values: dict[str, Any] = field(default_factory=dict)
    help: bool = False


def _processor(help_: str, many: str | None = None) -> Option:
    return Option("id", help_, many=many, wants="processor")


_TIMEOUT = Option("timeout", "give up after this long", ("--timeout",), seconds)

_YES = Option("yes", "do not ask", ("--yes", "-y"), flag=True)
_VERBOSE = Option(
    "verbose", "when it fails, show all that the engine said", ("--verbose",), flag=True
)

_TABLE = (
    Command(
        "run",
        "start the flow and show a live dashboard; --until waits until it is so, --duration and "
        "--count bound the run",
        (
            Option("host", "address to serve routes on", ("--host",), default="127.0.0.1"),
            Option("port", "port to serve routes on", ("--port",), _port, 8000),
            Option("until", "wait until nothing is left to do", ("--until",), choices=("drained",)),
            Option("duration", "run for this long, then stop", ("--duration",), seconds),
            Option("count", "run until N elements went through, then stop", ("--count",), _count),
            _TIMEOUT,
        ),
        example="run --until drained --timeout 5m",
    ),
    Command(
        "stop",
        "drain and stop the flow, or some of its processors",
        (
            Option("ids", "processors to stop; none means all", many="*", wants="processor"),
            Option("no_drain", "do not finish what is in flight", ("--no-drain",), flag=True),
            Option("timeout", "time to drain", ("--timeout",), seconds, 30.0),
        ),
        example="stop price --timeout 10s",
    ),
    Command("status", "show states and numbers of all processors", example="status"),
    Command("list", "show what is declared: kinds, sources, sinks, routes", example="list"),
    Command(
        "remove",
        "take a processor out of the flow",
        (_processor("processor to remove"),),
        example="remove price",
    ),
    Command(
        "send",
        "run one element through the real function and show what it returns",
        (_processor("processor to send to"),),
        rest="element",
        example='send price {"id": 1, "qty": 2}',
    ),
    Command(
        "peek",
        "show the last elements that went through a processor",
        (
            _processor("processor to look into"),
            Option("n", "how many", ("-n", "--count"), _count, 20),
        ),
        example="peek price -n 5",
    ),
    Command(
        "failures",
        "show the elements that failed, and why",
        (
            _processor("one processor; none means all", "?"),
            Option("traceback", "show failure number N in full", ("--traceback",), _count),
        ),
        example="failures price --traceback 3",
    ),
    Command(
        "logs",
        "show what processors printed and logged",
        (
            _processor("one processor; none means all", "?"),
            Option("n", "how many lines", ("-n", "--lines"), _count, 50),
            Option("level", "this level and above", ("--level",), choices=LOG_LEVELS),
        ),
        example="logs price --level WARNING",
    ),
    Command(
        "preview",
        "show what apply would create, change and delete; nothing is touched",
        (_VERBOSE,),
        example="preview",
    ),
    Command(
        "apply",
        "create and change cloud resources so that they are as declared; asks first",
        (_YES, _VERBOSE),
        example="apply --yes",
    ),
    Command(
        "refresh",
        "look at the cloud and note what was changed there; nothing is touched",
        (_VERBOSE,),
        example="refresh",
    ),
    Command(
        "destroy",
        "delete every cloud resource of the stack; asks first",
        (_YES, _VERBOSE),
        example="destroy --yes",
    ),
    Command(
        "cloud",
        "the local cloud of this folder: where it is, start it, stop it, or forget what is in it",
        (
            Option(
                "action",
                "what to do",
                default="status",
                choices=("status", "start", "stop", "reset"),
                many="?",
            ),
        ),
        example="cloud status",
    ),
    Command(
        "nest_asyncio",
        "patch the kernel's event loop so that asyncio.run works in cells; risky, rarely needed",
        example="nest_asyncio",
    ),
    Command(
        "help",
        "explain a subcommand, a kind of processor, or errors",
        (Option("topic", "a subcommand, a kind, or errors", many="?", wants="topic"),),
        example="help run",
    ),
)

COMMANDS = {command.name: command for command in _TABLE}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(line: str) -> Invocation:
    """Read what follows `%buildflow`.

    Raises:
        UsageError: an unknown word or option, a missing or a wrong value.
    """
    word, _, rest = line.strip().partition(" ")
    if not word or word in HELP_FLAGS:
        return Invocation(COMMANDS["help"], {"topic": None})
    command = COMMANDS.get(word)
    if command is None:
        msg = (
            f"{LINE}: unknown subcommand {word!r}{nearest(word, COMMANDS)}; {LINE} help lists them"
        )
        raise UsageError(msg)
    words, tail = _words(command, rest.strip())
    if any(flag in words for flag in HELP_FLAGS):
        return Invocation(command, help=True)
    return _parsed(command, words, tail)


def _words(command: Command, rest: str) -> tuple[list[str], str]:
    if command.rest:
        first, _, tail = rest.partition(" ")
        return ([first] if first else []), tail.strip()
    try:
        return shlex.split(rest), ""
    except ValueError as error:
        msg = f"{LINE} {command.name}: {error}: {rest}; like {LINE} {command.example}"
        raise UsageError(msg.replace("No closing", "no closing")) from error


def _parsed(command: Command, words: Sequence[str], tail: str) -> Invocation:
    try:
        found, unknown = _parser(command).parse_known_args(list(words))
    except UsageError as error:
        msg = f"{LINE} {command.name}: {error}; like {LINE} {command.example}"
        raise UsageError(msg) from error
    if unknown:
        raise _unknown(command, unknown[0])
    values = vars(found)
    if command.rest:
        if not tail:
            msg = f"{LINE} {command.name}: {command.rest} is missing; like {LINE} {command.example}"
            raise UsageError(msg)
        values[command.rest] = tail
    return Invocation(command, values)


def _unknown(command: Command, word: str) -> UsageError:
    flags = [flag for option in command.options for flag in option.flags]
    if word.startswith("-"):
        takes = f"; it takes {', '.join(flags)}" if flags else "; it takes none"
        hint = nearest(word.partition("=")[0], flags) or takes
        return UsageError(f"{LINE} {command.name}: unknown option {word!r}{hint}")
    msg = f"{LINE} {command.name}: {word!r} is one word too many; like {LINE} {command.example}"
    return UsageError(msg)


def _parser(command: Command) -> _Parser:
    made = _Parser(add_help=False, allow_abbrev=False)
    for option in command.options:
        words: dict[str, Any] = {"default": option.default}
        if option.flag:
            words.update(action="store_true", default=False, dest=option.name)
        else:
            words.update(type=_checked(option), metavar=option.name.upper())
            words.update({"dest": option.name} if option.flags else {"nargs": option.many})
        made.add_argument(*(option.flags or (option.name,)), **words)
    return made


def _checked(option: Option) -> Callable[[str], object]:
    """Read a value; argparse would hide the reason of a ValueError."""

    def read(text: str) -> object:
        if option.choices:
            match = next((c for c in option.choices if c.lower() == text.lower()), None)
            if match is None:
                known = ", ".join(option.choices)
                msg = f"{text!r} is none of {known}{nearest(text, option.choices)}"
                raise argparse.ArgumentTypeError(msg)
            return match
        try:
            return option.parse(text)
        except ValueError as error:
            msg = f"{text!r} is not {_WANTED.get(option.parse, 'right')}"
            raise argparse.ArgumentTypeError(msg) from error

    return read


def help_text(command: Command | None = None) -> str:
    """Plain text that explains a subcommand, or all of them."""
    if command is None:
        width = max(map(len, COMMANDS))
        rows = [f"  {c.name:<{width}}  {c.help.partition(';')[0]}" for c in COMMANDS.values()]
        return "\n".join([f"{LINE} SUBCOMMAND", "", *rows, "", f"{LINE} run -h explains one."])
    shown = [o.shown for o in command.options] + ([command.rest.upper()] if command.rest else [])
    pairs = [(", ".join(o.flags) or o.name.upper(), _explained(o)) for o in command.options]
    if command.rest:
        pairs.append((command.rest.upper(), "the rest of the line: JSON, or any Python expression"))
    width = max((len(name) for name, _ in pairs), default=0)
    table = [f"  {name:<{width}}  {text}" for name, text in pairs]
    usage = " ".join([LINE, command.name, *shown])
    return "\n".join([usage, "", command.help, *table, "", f"Like {LINE} {command.example}"])


def _explained(option: Option) -> str:
    text = f"{option.help} ({', '.join(option.choices)})" if option.choices else option.help
    return f"{text} (default {option.default})" if option.default is not None else text
