"""Looking at the flow: its state, its declarations, what passed and what was printed."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.core.options import LOG_LEVELS
from buildflow_nb.notebook.listings import Declared, Lines, Passages
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.stack_status import Status
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)

_OUTPUT_LEVELS = {"PRINT": "INFO", "STDERR": "WARNING"}  # where printed lines rank among records


def _status(session: Session, values: Values) -> Status:
    flow = session.flow()
    return Status.of(flow.snapshot(), flow.on(values["stack"]).stack_view())


def _list(session: Session, values: Values) -> Declared:  # noqa: ARG001
    flow = session.flow()
    return Declared(flow.processors.values(), f"flow {flow.flow_id}")


def _peek(session: Session, values: Values) -> Passages:
    found = session.flow().peek(values["id"], values["n"])
    return Passages(found, f"{values['id']} · last elements")


def _logs(session: Session, values: Values) -> Lines:
    flow, chosen = session.flow(), values["id"]
    least = LOG_LEVELS.index(values["level"]) if values["level"] else -1
    found = [
        (name, line)
        for name in ([chosen] if chosen else flow.processors)
        for line in flow.logs(name)
        if _rank(line.level) >= least
    ]
    found.sort(key=lambda pair: pair[1].at)
    return Lines(found[-values["n"] :], f"{chosen or 'all processors'} · log")


def _rank(level: str) -> int:
    level = _OUTPUT_LEVELS.get(level, level)
    return LOG_LEVELS.index(level) if level in LOG_LEVELS else len(LOG_LEVELS)


VERBS: Mapping[str, Verb] = {
    "status": _status,
    "list": _list,
    "peek": _peek,
    "logs": _logs,
}
