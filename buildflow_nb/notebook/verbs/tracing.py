"""`%buildflow trace` and `%buildflow profile`: where the time of elements goes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from buildflow_nb.cockpit.views.profile import ProfileShown
from buildflow_nb.cockpit.views.trace import Traces, TraceShown
from buildflow_nb.core.errors import UsageError
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS",)


def _trace(session: Session, values: Values) -> TraceShown | Traces:
    flow, which = session.flow(), values["which"]
    failed = values["failed"]
    if which is None or which in flow.processors:
        found = flow.traces(which, values["n"], failed=failed)
        return Traces(
            found, f"{which or 'all processors'} · {'failed' if failed else 'last'} traces"
        )
    if failed:
        msg = "%buildflow trace: --failed lists those of a processor; an id is one trace"
        raise UsageError(msg)
    return TraceShown(flow.trace(int(which) if which.isdigit() and len(which) < 6 else which))  # noqa: PLR2004


def _profile(session: Session, values: Values) -> ProfileShown:
    return ProfileShown(session.flow().profile(values["id"]), time.time())


VERBS: Mapping[str, Verb] = {"trace": _trace, "profile": _profile}
