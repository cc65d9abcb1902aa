"""The commands of a terminal, as data: those of the line magics, and those that are its own.

Where a line magic has a command, too, its options are the same objects; a terminal adds what only a
terminal has. Parsing, help, completion and the documentation's test read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from buildflow_nb.commands.command import Command, Option, port
from buildflow_nb.commands.table import COMMANDS

__all__ = ("TERMINAL", "words_for")

_APP = Option(
    "app",
    "the flow, in place of buildflow.yaml's entry_point: module:name, or a file",
    ("--app",),
    wants="file",
)
_JSON = Option(
    "json", "print JSON alone; whatever else is said goes to stderr", ("--json",), flag=True
)
_STACK = next(option for option in COMMANDS["preview"].options if option.name == "stack")


def _shared(name: str, *more: Option) -> Command:
    """A command that line magics have, too, with what a terminal adds."""
    there = COMMANDS[name]
    return replace(there, options=(*there.options, *more))


def _run() -> Command:
    also = {"host": "--serve-host", "port": "--serve-port"}  # as BuildFlow calls them
    shared = tuple(
        replace(option, flags=(*option.flags, also[option.name])) if option.name in also else option
        for option in COMMANDS["run"].options
    )
    own = (
        Option(
            "reload",
            "run what is new whenever code changes; what is under way is finished first",
            ("--reload",),
            flag=True,
            off="--no-reload",
        ),
        Option(
            "detach",
            "leave a job alone once it is submitted, to --address http://head:8265 of --engine ray",
            ("--detach",),
            flag=True,
        ),
        Option("from_build", "run what build packed", ("--from-build",), wants="file"),
        Option(
            "build_output_dir",
            "where --from-build unpacks; in .buildflow otherwise",
            ("--build-output-dir",),
            wants="folder",
        ),
        Option(
            "start_runtime_server",
            "serve the state of the run, and a way to drain it, on a port of its own",
            ("--start-runtime-server",),
            flag=True,
            off="--no-start-runtime-server",
        ),
        Option(
            "runtime_server_host",
            "its address; one that others reach needs BUILDFLOW_RUNTIME_TOKEN",
            ("--runtime-server-host",),
            default="127.0.0.1",
        ),
        Option("runtime_server_port", "its port", ("--runtime-server-port",), port, 9653),
        Option(
            "ui",
            "serve the cockpit as a page, for any browser of this machine, and show its link",
            ("--ui",),
            flag=True,
        ),
        Option("ui_port", "its port; any free one otherwise", ("--ui-port",), port, 0),
        Option("run_id", "what this run is called", ("--run-id",)),
        Option(
            "event_subscriber",
            "a function that is called with every event: module:function",
            ("--event-subscriber",),
        ),
    )
    return Command(
        "run",
        "run the flow until it ends, or until Ctrl-C, which finishes what is under way; "
        "--until, --duration and --count bound the run",
        (*shared, *own, _STACK, _APP, _JSON),
        example="run --until drained --timeout 5m",
    )


_INIT = Command(
    "init",
    "write a project that runs at once: a flow, data, a notebook and a test",
    (
        Option("app", "its name; asked for otherwise", ("--app",)),
        Option("directory", "where to write it", ("--directory",), default=".", wants="folder"),
        _JSON,
    ),
    example="init --app shop --directory shop",
)
_INSPECT = Command(
    "inspect",
    "show what the flow declares: processors, primitives, and what is managed",
    (
        replace(_JSON, flags=("--json", "--as-json"), off="--no-as-json"),
        _STACK,
        _APP,
    ),
    example="inspect",
)
_BUILD = Command(
    "build",
    "pack the project into one file, which run --from-build runs elsewhere",
    (
        Option(
            "build_path",
            "the file to write; .buildflow/build/build.flow otherwise",
            ("--build-path",),
            wants="file",
        ),
        Option(
            "ignores",
            "a pattern, as in .gitignore, of what to leave out; may be given again",
            ("--ignores",),
            many="*",
        ),
        Option(
            "as_template",
            "leave out what the flow declares, for a project to start from",
            ("--as-template",),
            flag=True,
            off="--no-as-template",
        ),
        _STACK,
        _APP,
        _JSON,
    ),
    example="build --ignores data/",
)


def _export() -> Command:
    """A terminal has no cells, so it names a file; what the line takes by flags is the same."""
    return Command(
        "export",
        "write the flow of a saved notebook as a project that runs by itself",
        (
            Option("notebook", "the .ipynb file; none of its code is run", wants="file"),
            Option("folder", "where to write the project", wants="folder"),
            *(option for option in COMMANDS["export"].options if option.flags),
            _JSON,
        ),
        example="export shop.ipynb shop",
    )


_JUPYTER = Command(
    "jupyter",
    "have kernels load buildflow_nb by themselves, or no longer",
    (
        Option("action", "what to do", choices=("install", "uninstall")),
        Option(
            "profile", "the profile of IPython to do it in; 'default' otherwise", ("--profile",)
        ),
        Option(
            "sys_prefix",
            "for every profile of this environment instead",
            ("--sys-prefix",),
            flag=True,
        ),
        _JSON,
    ),
    example="jupyter install",
)
_HELP = Command(
    "help",
    "explain a command, or list them all",
    (Option("topic", "a command", many="?", wants="topic"), _JSON),
    example="help run",
)

TERMINAL: Mapping[str, Command] = {
    command.name: command
    for command in (
        _INIT,
        _run(),
        _shared("preview", _APP, _JSON),
        _shared("apply", _APP, _JSON),
        _shared("refresh", _APP, _JSON),
        _shared("destroy", _APP, _JSON),
        _shared("status", _APP, _JSON),
        _shared("check", _STACK, _APP, _JSON),
        _shared("look", _APP, _JSON),
        _INSPECT,
        _BUILD,
        _export(),
        _shared("cloud", _JSON),
        _shared("doctor", _JSON),
        _JUPYTER,
        _HELP,
    )
}


def words_for(command: Command, values: Mapping[str, Any]) -> list[str]:
    """The words that say these values: what is typed to have the same done elsewhere."""
    words = [command.name]
    for option in command.options:
        value = values[option.name]
        if not option.flags or value is False or value in (option.default, [], None):
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [option.flags[0]] if option.flag else [option.flags[0], str(one)]
    return words
