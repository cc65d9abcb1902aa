"""Reads a line of `%buildflow` by the table of its subcommands, and explains them.

Parsing never exits the process and never prints: a wrong word is a `UsageError` that names the
nearest right one, and `-h` anywhere gives help.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from buildflow_nb.commands.command import WANTED, Command, Invocation, Option, seconds
from buildflow_nb.commands.line_comment import without_comment
from buildflow_nb.commands.table import COMMANDS
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import cut, nearest, shown

__all__ = (
    "COMMANDS",
    "HELP_FLAGS",
    "LINE",
    "Command",
    "Invocation",
    "Option",
    "help_text",
    "parse",
    "parsed",
    "seconds",
)

LINE = "%buildflow"
HELP_FLAGS = ("-h", "--help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(line: str, *, alone: str = "help") -> Invocation:
    """Read what follows `%buildflow`; nothing but a comment means the subcommand `alone`.

    Raises:
        UsageError: an unknown word or option, a missing or a wrong value.
    """
    word, _, rest = without_comment(line).strip().partition(" ")
    if word in HELP_FLAGS:
        return Invocation(COMMANDS["help"], {"topic": None})
    word = word or alone
    command = COMMANDS.get(word)
    if command is None:
        what = f"unknown subcommand {cut(word)!r}{nearest(word, COMMANDS)}"
        msg = f"{LINE}: {what}; {LINE} help lists them"
        raise UsageError(msg)
    words, tail = _words(command, rest.strip())
    if any(flag in (*words, tail) for flag in HELP_FLAGS):
        return Invocation(command, help=True)
    return parsed(command, words, tail)


def _words(command: Command, rest: str) -> tuple[list[str], str]:
    if command.rest:
        first, _, tail = rest.partition(" ")
        return ([first] if first else []), tail.strip()
    try:
        return shlex.split(rest), ""
    except ValueError as error:
        msg = f"{LINE} {command.name}: {error}: {shown(rest)}; like {LINE} {command.example}"
        raise UsageError(msg.replace("No closing", "no closing")) from error


def parsed(command: Command, words: Sequence[str], tail: str = "") -> Invocation:
    """Read the words of one subcommand; `tail` is the rest of the line, where it takes one.

    Raises:
        UsageError: an unknown option, a missing or a wrong value.
    """
    try:
        found, unknown = _parser(command).parse_known_args(list(words))
    except UsageError as error:
        msg = f"{LINE} {command.name}: {error}; like {LINE} {command.example}"
        raise UsageError(msg) from error
    if unknown:
        raise _unknown(command, unknown[0])
    values = vars(found)
    if command.rest:
        if not tail and not command.bare:
            msg = f"{LINE} {command.name}: {command.rest} is missing; like {LINE} {command.example}"
            raise UsageError(msg)
        values[command.rest] = tail
    return Invocation(command, values)


def _unknown(command: Command, word: str) -> UsageError:
    flags = [flag for option in command.options for flag in option.words]
    if word.startswith("-"):
        takes = f"; it takes {', '.join(flags)}" if flags else "; it takes none"
        hint = nearest(word.partition("=")[0], flags) or takes
        return UsageError(f"{LINE} {command.name}: unknown option {cut(word)!r}{hint}")
    msg = (
        f"{LINE} {command.name}: {cut(word)!r} is one word too many; like {LINE} {command.example}"
    )
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
        if option.flags and option.many == "*":
            words.update(action="append", default=[])
        made.add_argument(*(option.flags or (option.name,)), **words)
        if option.off:
            made.add_argument(option.off, action="store_false", dest=option.name)
    return made


def _checked(option: Option) -> Callable[[str], object]:
    """Read a value; argparse would hide the reason of a ValueError."""

    def read(text: str) -> object:
        if option.choices:
            match = next((c for c in option.choices if c.lower() == text.lower()), None)
            if match is None:
                known = ", ".join(option.choices)
                msg = f"{cut(text)!r} is none of {known}{nearest(text, option.choices)}"
                raise argparse.ArgumentTypeError(msg)
            return match
        try:
            return option.parse(text)
        except ValueError as error:
            msg = f"{cut(text)!r} is not {WANTED.get(option.parse, 'right')}"
            raise argparse.ArgumentTypeError(msg) from error

    return read


def help_text(command: Command | None = None) -> str:
    """Plain text that explains a subcommand, or all of them."""
    if command is None:
        width = max(map(len, COMMANDS))
        rows = [f"  {c.name:<{width}}  {c.help.partition(';')[0]}" for c in COMMANDS.values()]
        return "\n".join([f"{LINE} SUBCOMMAND", "", *rows, "", f"{LINE} run -h explains one."])
    rest = f"[{command.rest.upper()}]" if command.bare else command.rest.upper()
    shown = [o.shown for o in command.options] + ([rest] if rest else [])
    pairs = [(", ".join(o.words) or o.name.upper(), o.explained) for o in command.options]
    if command.rest:
        pairs.append((command.rest.upper(), "the rest of the line: JSON, or any Python expression"))
    width = max((len(name) for name, _ in pairs), default=0)
    table = [f"  {name:<{width}}  {text}" for name, text in pairs]
    usage = " ".join([LINE, command.name, *shown])
    return "\n".join([usage, "", command.help, *table, "", f"Like {LINE} {command.example}"])
