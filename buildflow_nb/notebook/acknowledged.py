"""What a cell that declares says for itself: one line for each processor that it changed.

A misspelt file or a wrong column shows a moment after the declaration, so a running flow is looked
at until the new processor has begun, for a short while.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.declaring.registry import Changes
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.portable import with_origin
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State
from buildflow_nb.flow import Flow

__all__ = ("acknowledged",)

SETTLE_S = 0.4  # how long a cell waits for what it declared to begin
PACE_S = 0.02
MOST = 8  # processors that are told of one by one
_BEGINS = (State.PENDING, State.STARTING)


def acknowledged(flow: Flow, changes: Changes) -> Iterator[str]:
    """The lines, newest declaration last."""
    runs = flow.handle is not None and flow.handle.running
    changed = [name for name in flow.processors if name in (*changes.added, *changes.replaced)]
    told = changed[-MOST:]
    shots = _settled(flow, told) if runs else {}
    if len(changed) > MOST:
        yield f"{len(changed) - MOST} processors, which %buildflow list shows, and"
    for name in told:
        shot = shots.get(name)
        begins = "" if runs or name != changed[-1] else "; %buildflow run starts the flow"
        spec = flow.processors[name]
        if shot is None:
            yield f"{_declared(spec)}{begins}"
        else:
            yield f"{_running(shot, changes)}{_failed(flow, shot)}"
    for name in changes.removed:
        yield f"{name}: removed"


def _declared(spec: ProcessorSpec) -> str:
    way = _source(spec)
    sink = None if isinstance(spec, EndpointSpec) else spec.sink
    return f"{spec.id}: {spec.kind} of {way}{'' if sink is None else f' → {with_origin(sink)}'}"


def _source(spec: ProcessorSpec) -> str:
    if isinstance(spec, ConsumerSpec):
        return with_origin(spec.source)
    return f"{spec.method} {spec.route}"


def _running(shot: ProcessorSnapshot, changes: Changes) -> str:
    what = f"swapped, v{shot.version}" if shot.processor_id in changes.replaced else "added"
    why = f": {shot.reason}" if shot.reason else ""
    return f"{shot.processor_id}: {what}, {shot.state.value}{why}"


def _begun(shot: ProcessorSnapshot) -> bool:
    """Whether it has shown how it is; what only reads may wait for its source the next moment."""
    done = shot.elements_out + shot.dropped + shot.failed
    idle = shot.kind == "consumer" and shot.state is State.RUNNING and not done
    return shot.state not in _BEGINS and not idle


def _failed(flow: Flow, shot: ProcessorSnapshot) -> str:
    """What went wrong with the first elements already, as it does where a type does not fit."""
    if not shot.failed:
        return ""
    last = flow.failures(shot.processor_id)[-1:]
    why = f": {last[0].error}" if last else ""
    return f"; {shot.failed:,} of {shot.elements_in:,} failed{why}"


def _settled(flow: Flow, names: Iterable[str]) -> dict[str, ProcessorSnapshot]:
    """How the processors are once they have begun, or after a short while."""
    ends = time.monotonic() + SETTLE_S
    while True:
        try:
            shots = flow.snapshot(SETTLE_S).processors
        except (BuildFlowError, TimeoutError):
            return {}  # the loop is held up, which the panel says
        found = {shot.processor_id: shot for shot in shots if shot.processor_id in names}
        if all(map(_begun, found.values())) or time.monotonic() >= ends:
            return found
        time.sleep(PACE_S)
