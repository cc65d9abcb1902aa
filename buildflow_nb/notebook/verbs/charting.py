"""`%buildflow chart`: what a processor has done over time."""

from __future__ import annotations

import time
from collections.abc import Mapping

from buildflow_nb.cockpit.views.chart import Chart
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _chart(session: Session, values: Values) -> Chart:
    history = session.flow().history_of(values["id"])
    return Chart(history, values["span"], time.time())


VERBS: Mapping[str, Verb] = {"chart": _chart}
