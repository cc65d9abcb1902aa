"""From the words of a terminal to a command and its values, by Typer and the one table.

Typer has the commands, their help and the shell's completion. The words of a command are read by
the parser of the line magics (`commands/parsing.py`), so that both take the same and say the same
of a wrong word; Typer would load pydantic to read a number, besides. Nothing is carried out in
here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from buildflow_nb.cli.completion import completed
from buildflow_nb.cli.table import TERMINAL
from buildflow_nb.commands.command import Command, Invocation, Option
from buildflow_nb.commands.table import COMMANDS
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import nearest

__all__ = ("PROGRAM", "read_words")

PROGRAM = "buildflow"
HELP = "Build, run, watch and ship a streaming backend."
HELP_FLAGS = ("-h", "--help")
COMPLETING = "_BUILDFLOW_COMPLETE"  # what a shell sets that asks for completion


def read_words(words: Sequence[str]) -> Invocation | None:
    """What was asked; None where the answer, help or completion, has been given.

    Raises:
        UsageError: an unknown word or option, a missing or a wrong value.
    """
    command, rest, name = typer.main.get_command(_program()), list(words), PROGRAM
    if words and words[0] in TERMINAL and COMPLETING not in os.environ:
        # Not through the group, whose own options Typer reads by pydantic.
        command = cast("TyperGroup", command).commands[words[0]]
        rest, name = rest[1:], f"{PROGRAM} {words[0]}"
    try:
        found = command.main(rest, prog_name=name, standalone_mode=False)
    except typer.TyperException as error:
        reason = error.format_message().rstrip(".")
        msg = f"{reason[:1].lower()}{reason[1:]}; {PROGRAM} help lists the commands"
        raise UsageError(msg) from error
    return found if isinstance(found, Invocation) else None


def _program() -> typer.Typer:
    made = typer.Typer(
        cls=_Commands,
        help=HELP,
        rich_markup_mode=None,  # rich would take longer to load than all the rest
        context_settings={"help_option_names": list(HELP_FLAGS)},
        pretty_exceptions_enable=False,
    )
    made.callback(invoke_without_command=True)(_alone)
    for command in TERMINAL.values():
        made.command(
            command.name,
            cls=_Words,
            help=f"{_sentence(command.help)}\n\nLike: {PROGRAM} {command.example}",
            short_help=_sentence(command.help.partition(";")[0]),
            context_settings={"help_option_names": list(HELP_FLAGS)},
        )(_signed(command))
    return made


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _alone(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Say which version this is."),
) -> Invocation | None:
    if version:
        return Invocation(TERMINAL["help"], {"topic": "version"})
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    return None


class _Commands(TyperGroup):
    """The group of all commands, with our words for one that is not there."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if ctx.resilient_parsing or word.startswith("-") or word in TERMINAL:
            return super().resolve_command(ctx, args)
        if word in COMMANDS:
            msg = f"{word} is for notebooks; in a terminal there is {', '.join(TERMINAL)}"
            raise UsageError(msg)
        near = nearest(word, TERMINAL)
        msg = f"unknown subcommand {word!r}{near}; {PROGRAM} help lists them"
        raise UsageError(msg)


class _Words(TyperCommand):
    """A command whose words are read by the line magics' parser."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = args[: args.index("--")] if "--" in args else args
        if ctx.resilient_parsing or set(flags) & set(HELP_FLAGS):
            asked = [flag for flag in HELP_FLAGS if flag in flags]
            return super().parse_args(ctx, args if ctx.resilient_parsing else asked[:1])
        from buildflow_nb.commands.parsing import parsed

        ctx.params = parsed(TERMINAL[self.name or ""], args).values
        return []

    def invoke(self, ctx: Any) -> Invocation:
        return Invocation(TERMINAL[self.name or ""], dict(ctx.params))


def _signed(command: Command) -> Callable[..., None]:
    """A function as Typer takes them, with the options of the table as its parameters."""

    def described() -> None: ...

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(option.name, kind, default=_declared(option), annotation=_type(option))
        for option in command.options
    ]
    described.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    described.__annotations__ = {option.name: _type(option) for option in command.options}
    return described


def _type(option: Option) -> Any:
    if option.flag:
        return bool
    return list[str] if option.many == "*" else str


def _declared(option: Option) -> Any:
    """The parameter as Typer's help and completion show it."""
    shown: dict[str, Any] = {"help": _sentence(option.explained), "show_default": False}
    if option.flag:
        flags = (
            [*option.flags[:-1], f"{option.flags[-1]}/{option.off}"] if option.off else option.flags
        )
        return typer.Option(False, *flags, **shown)
    place = option.wants in ("file", "folder") and option.flags
    shown["metavar"] = (option.wants if place else option.name).upper()
    if option.choices or option.wants:
        shown["autocompletion"] = completed(option)
    if option.flags:
        return typer.Option(None, *option.flags, **shown)
    return typer.Argument(None if option.many or option.default else ..., **shown)
