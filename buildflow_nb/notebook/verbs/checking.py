"""Looking whether all is well: the flow's connections, and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.cockpit.views.findings_view import Findings
from buildflow_nb.flow.doctor.doctor import examine
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _check(session: Session, values: Values) -> Findings:
    flow = session.flow()
    return Findings(flow.check(values["ids"] or None), f"check of {flow.flow_id}")


def _doctor(session: Session, values: Values) -> Findings:  # noqa: ARG001
    flow = session.bound()
    folder = Path.cwd() if flow is None else flow.config.folder
    return Findings(examine(folder), "doctor")


VERBS: Mapping[str, Verb] = {
    "check": _check,
    "doctor": _doctor,
}
