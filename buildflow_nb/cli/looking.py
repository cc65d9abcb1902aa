"""What only looks: status, check, doctor, inspect, the local cloud, and help."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.cli.table import TERMINAL
from buildflow_nb.commands.command import Command
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.findings import Finding, Health, counted, told, worst
from buildflow_nb.core.nearest import nearest

__all__ = ("check", "cloud", "doctor", "help_", "inspect", "status")

FOUND = 1  # the exit code where something is wrong
Values = Mapping[str, Any]


def status(values: Values, terminal: Terminal) -> None:
    """What the stack holds."""
    from buildflow_nb.cli.entry import flow_asked
    from buildflow_nb.infra.stack_text import stack_text

    view = flow_asked(values).stack_view()
    terminal.give(view, stack_text(view))


def check(values: Values, terminal: Terminal) -> int:
    """Every connection, credential, type and version."""
    from buildflow_nb.cli.entry import flow_asked

    return _found(flow_asked(values).check(values["ids"] or None), terminal)


def doctor(values: Values, terminal: Terminal) -> int:  # noqa: ARG001
    """The machine and the folder; no flow is needed."""
    from buildflow_nb.flow.doctor.doctor import examine

    return _found(examine(Path.cwd()), terminal)


def inspect(values: Values, terminal: Terminal) -> None:
    """What the flow declares."""
    from buildflow_nb.cli.entry import flow_asked
    from buildflow_nb.cli.output.state_text import state_text

    flow = flow_asked(values)
    state, cloud = flow.flowstate().to_dict(), flow.place.stack.cloud
    if terminal.lively:
        from buildflow_nb.cli.output.tables import state_tree

        terminal.console().print(state_tree(state, cloud))
    else:
        terminal.give(state, state_text(state, cloud))


def cloud(values: Values, terminal: Terminal) -> None:
    """The local cloud."""
    from buildflow_nb.core.config import find_config
    from buildflow_nb.local_cloud.client import cloud_status
    from buildflow_nb.local_cloud.steer import steer

    folder = find_config(Path.cwd()).folder
    said = steer(folder, values["action"])
    found = cloud_status(folder) if terminal.json else None
    record = None if found is None else found.record
    document = {
        "running": record is not None,
        "endpoints": {} if record is None else record.endpoints,
        "users": [] if found is None else found.users,
        "said": said,
    }
    terminal.give(document, said)


def help_(values: Values, terminal: Terminal) -> None:
    """What there is.

    Raises:
        UsageError: there is no such command.
    """
    from importlib import metadata

    topic, version = values["topic"], metadata.version("buildflow-nb")
    if topic == "version":
        terminal.give({"version": version}, f"buildflow {version}")
    elif topic is not None and topic not in TERMINAL:
        msg = f"help: no command {topic!r}{nearest(topic, TERMINAL)}; buildflow help lists them"
        raise UsageError(msg)
    elif values["json"]:
        commands = TERMINAL.values() if topic is None else [TERMINAL[topic]]
        terminal.line({"version": version, "commands": [_described(one) for one in commands]})
    else:
        from buildflow_nb.cli.words import read_words

        read_words([*([topic] if topic else []), "--help"])


def _described(command: Command) -> dict[str, object]:
    options = [
        {"name": option.name, "flags": option.words, "help": option.help, "default": option.default}
        for option in command.options
    ]
    return {"name": command.name, "help": command.help, "options": options}


def _found(findings: list[Finding], terminal: Terminal) -> int:
    if terminal.lively:
        from buildflow_nb.cli.output.tables import findings_table

        terminal.console().print(findings_table(findings))
    else:
        document = {"worst": worst(findings), "findings": findings}
        terminal.give(document, f"{told(findings)}\n{counted(findings)}")
    return FOUND if worst(findings) is Health.ERROR else 0
