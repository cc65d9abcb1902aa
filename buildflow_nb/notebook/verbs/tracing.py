"""`%buildflow trace` and `%buildflow profile`: where the time of elements goes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from buildflow_nb.cockpit.views.profile import ProfileShown
from buildflow_nb.cockpit.views.trace import Traces, TraceShown, numbered
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb
from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("VERBS",)


def _trace(session: Session, values: Values) -> TraceShown | Traces:
    flow, which = session.flow(), values["which"]
    failed = values["failed"]
    if values["failure"] is not None:
        return TraceShown(flow.trace(_failure(flow, which, values["failure"])))
    if which is None or which in flow.processors:
        found = flow.traces(which, values["n"], failed=failed)
        return Traces(
            found, f"{which or 'all processors'} · {'failed' if failed else 'last'} traces"
        )
    if failed:
        msg = "%buildflow trace: --failed lists those of a processor; an id is one trace"
        raise UsageError(msg)
    return TraceShown(flow.trace(numbered(which)))


def _failure(flow: Flow, processor_id: str | None, number: int) -> FailureRecord | int:
    """The failure of that number, of one processor or of any."""
    if processor_id is None:
        return number
    found = [each for each in flow.failures(processor_id) if each.number == number]
    if not found:
        msg = (
            f"{processor_id!r} has no failure {number}; %buildflow failures {processor_id} has all"
        )
        raise UsageError(msg)
    return found[0]


def _profile(session: Session, values: Values) -> ProfileShown:
    return ProfileShown(session.flow().profile(values["id"]), time.time())


VERBS: Mapping[str, Verb] = {"trace": _trace, "profile": _profile}
