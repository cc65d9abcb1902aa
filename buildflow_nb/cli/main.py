"""`buildflow COMMAND`: the project's flow, from a terminal.

The commands and their options are those of the line magics, from the same table.
Exit codes: 0 done, 1 failed, rejected or errors were found, 2 wrong usage, 130 interrupted before
anything was begun.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cli.entry import load_flow
from buildflow_nb.cli.jupyter import HELP, jupyter
from buildflow_nb.core.alias import answer_to_buildflow
from buildflow_nb.core.commands import COMMANDS, Invocation, help_text, parse
from buildflow_nb.core.config import find_config
from buildflow_nb.core.errors import BuildFlowError, ConfigError, InfraError, UsageError
from buildflow_nb.core.findings import Finding, Health, counted, told, worst
from buildflow_nb.core.operations import Diagnostic, Operation, OperationEvent, Outcome
from buildflow_nb.flow import Flow
from buildflow_nb.flow.doctor import examine
from buildflow_nb.infra.local_cloud.steer import steer
from buildflow_nb.infra.report import headline, line, plan_text
from buildflow_nb.infra.stack_text import stack_text

__all__ = ("main",)

PROGRAM, JUPYTER = "buildflow", "jupyter"
FAILED, USAGE, INTERRUPTED = 1, 2, 130
Values = Mapping[str, Any]


def main(words: list[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    answer_to_buildflow()
    try:
        words = sys.argv[1:] if words is None else words
        if words[:1] == [JUPYTER]:
            _say(jupyter(words[1:]))
            return 0
        return _run(_asked(words))
    except (UsageError, ConfigError) as error:
        sys.stderr.write(_as_typed_here(f"{PROGRAM}: {error}\n"))
        return USAGE
    except BuildFlowError as error:
        sys.stderr.write(_as_typed_here(f"{PROGRAM}: {error}\n"))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return INTERRUPTED


def _asked(words: list[str]) -> Invocation:
    asked = parse(shlex.join(words))
    name = asked.command.name
    if name not in _COMMANDS:
        known = ", ".join([*_COMMANDS, JUPYTER])
        msg = f"{name} is for notebooks; in a terminal there is {known}"
        raise UsageError(msg)
    return asked


def _as_typed_here(text: str) -> str:
    """Messages name commands as a notebook has them; a terminal has them without the sign."""
    return text.replace(f"%{PROGRAM}", PROGRAM)


def _run(asked: Invocation) -> int:
    if asked.help:
        _say(help_text(asked.command))
        return 0
    try:
        return _COMMANDS[asked.command.name](asked.values) or 0
    except InfraError as error:
        if asked.values.get("verbose") and error.text:
            sys.stderr.write(f"{error.text}\n")
        raise


def _preview(values: Values) -> None:
    _say(plan_text(_flow(values).preview(_Progress((Diagnostic,)))))


def _apply(values: Values) -> None:
    _end(_flow(values).apply(yes=values["yes"], listener=_Progress()))


def _refresh(values: Values) -> None:
    _end(_flow(values).refresh(_Progress()))


def _destroy(values: Values) -> None:
    _end(_flow(values).destroy(yes=values["yes"], listener=_Progress()))


def _status(values: Values) -> None:
    _say(stack_text(_flow(values).stack_view()))


def _check(values: Values) -> int:
    return _found(load_flow(Path.cwd()).check(values["ids"] or None))


def _doctor(values: Values) -> int:  # noqa: ARG001
    return _found(examine(Path.cwd()))


def _found(findings: list[Finding]) -> int:
    _say(f"{told(findings)}\n{counted(findings)}")
    return FAILED if worst(findings) is Health.ERROR else 0


def _flow(values: Values) -> Flow:
    """The project's flow, on the stack that is asked for."""
    return load_flow(Path.cwd()).on(values["stack"])


def _help(values: Values) -> None:
    topic = values["topic"]
    names = [topic] if topic in _COMMANDS else [] if topic == JUPYTER else list(_COMMANDS)
    texts = [help_text(COMMANDS[name]) for name in names]
    _say("\n\n".join(texts if topic in _COMMANDS else [*texts, HELP]))


def _cloud(values: Values) -> None:
    _say(steer(find_config(Path.cwd()).folder, values["action"]))


class _Progress:
    """Tells events as lines; the first error is left for the end, where it is the reason."""

    def __init__(self, kinds: tuple[type, ...] = (object,)) -> None:
        self._kinds = kinds
        self._errors = 0

    def __call__(self, event: OperationEvent) -> None:
        if isinstance(event, Diagnostic) and event.severity == "error":
            self._errors += 1
            if self._errors == 1:
                return
        text = line(event)
        if text and isinstance(event, self._kinds):
            _say(text)


def _end(outcome: Outcome) -> None:
    if outcome.nothing_to_do and outcome.summary.operation is Operation.PREVIEW:
        _say(headline(outcome))


def _say(text: str) -> None:
    sys.stdout.write(_as_typed_here(f"{text}\n"))
    sys.stdout.flush()


_COMMANDS: Mapping[str, Callable[[Values], int | None]] = {
    "preview": _preview,
    "apply": _apply,
    "refresh": _refresh,
    "destroy": _destroy,
    "status": _status,
    "check": _check,
    "doctor": _doctor,
    "cloud": _cloud,
    "help": _help,
}


if __name__ == "__main__":
    sys.exit(main())
