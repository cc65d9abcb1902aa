"""Looking at the flow: its state, its declarations, what passed and what was printed."""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.cockpit.panel.view_state import ALL
from buildflow_nb.cockpit.views.listings import Declared, Lines, Passages, passed
from buildflow_nb.cockpit.views.log_view import lines_of, saved
from buildflow_nb.notebook.session import Session, say
from buildflow_nb.notebook.stack_status import Status
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _status(session: Session, values: Values) -> Status:
    flow = session.flow()
    snapshot = flow.snapshot()
    return Status.of(snapshot, flow.on(values["stack"]).stack_view(), flow.health(snapshot))


def _list(session: Session, values: Values) -> Declared:  # noqa: ARG001
    flow = session.flow()
    return Declared(flow.processors.values(), f"flow {flow.flow_id}")


def _peek(session: Session, values: Values) -> Passages:
    flow = session.flow()
    found = passed(flow, values["id"], values["n"])
    needs = flow.processor(values["id"]).processor.needs_said
    head = f"{values['id']} · last elements"
    return Passages(found, f"{head} · {needs}" if needs else head)


def _logs(session: Session, values: Values) -> Lines | None:
    chosen = values["id"] or ALL
    found = lines_of(session.flow(), chosen, values["level"] or "", values["grep"] or "")
    if values["to"]:
        saved(found, values["to"])
        say(f"{len(found):,} lines are in {values['to']}")
        return None
    return Lines(found[-values["n"] :], f"{values['id'] or 'all processors'} · log")


VERBS: Mapping[str, Verb] = {
    "status": _status,
    "list": _list,
    "peek": _peek,
    "logs": _logs,
}
