"""Turns the engine's events into operation events.

The engine tells more than a person asks: its own stack and provider resources, each replacement as
three steps, debug messages. Here one resource is one step, with its properties as they were and as
they will be; values that the engine blinds stay blinded.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pulumi.automation import DiffKind, EngineEvent, OpType, StepEventMetadata
from pulumi.runtime.rpc import UNKNOWN

from buildflow_nb.core.status.operations import (
    Diagnostic,
    Op,
    Operation,
    OperationListener,
    PropertyChange,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Unknown,
)
from buildflow_nb.infra.pulumi.urn import APPLIED_BY, name_of, owner_of

__all__ = ("EngineEvents", "first_error")

_OPS = {
    OpType.SAME: Op.SAME,
    OpType.CREATE: Op.CREATE,
    OpType.UPDATE: Op.UPDATE,
    OpType.DELETE: Op.DELETE,
    OpType.CREATE_REPLACEMENT: Op.REPLACE,
    OpType.IMPORT_REPLACEMENT: Op.REPLACE,
    OpType.IMPORT: Op.CREATE,
    OpType.READ: Op.READ,
    OpType.REFRESH: Op.READ,
}
_OWN = ("pulumi:pulumi:", "pulumi:providers:")  # the engine's own resources
_INNER = "__defaults"  # how providers remember what they filled in
_STEP = re.compile(r'\[(?:"((?:[^"\\]|\\.)*)"|(\d+))\]|([^.\[\]]+)')
_TOLD_AGAIN = "an unhandled error occurred: "  # the engine, after the program has told it
_EMPTY_WORDS = re.compile(r"|(?:update|preview|refresh|destroy) failed")  # told after the reason
_ERROR = re.compile(r"^(?: *stderr:)? *error: (?P<message>.*?)(?=^ *error: |\Z)", re.M | re.S)


class EngineEvents:
    """Hears the engine's events and tells operation events; called on the engine's thread.

    What the engine reads to refresh its state is news only where refreshing was asked for; in
    other operations the steps that follow from it are.
    """

    def __init__(self, tell: OperationListener, operation: Operation) -> None:
        self._tell = tell
        self._operation = operation
        self._began: dict[str, float] = {}
        self._reading: set[str] = set()
        self._ends: dict[str, Op] = {}
        self._applied_by: dict[str, str] = {}
        self.errors: list[str] = []

    @property
    def changes(self) -> Mapping[Op, int]:
        """How many resources changed, or would, by kind of change."""
        return Counter(op for op in self._ends.values() if op is not Op.SAME)

    @property
    def unchanged(self) -> int:
        """How many resources stay as they are."""
        return sum(op is Op.SAME for op in self._ends.values())

    def hear(self, event: EngineEvent) -> None:
        """Tell what one event of the engine means."""
        if event.diagnostic_event is not None:
            self._diagnostic(event.diagnostic_event)
        elif event.resource_pre_event is not None:
            self._before(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._after(event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self._failed(event.res_op_failed_event.metadata)

    def _before(self, meta: StepEventMetadata) -> None:
        step = _step(meta)
        if step is None:
            return
        if step.of_primitive:  # told before what belongs to it, unless that is deleted
            self._applied_by[step.owner] = step.applied_by
        step = replace(step, applied_by=self._applied_by.get(step.owner, ""))
        if step.op is Op.SAME:
            return
        if step.op is Op.READ:
            self._reading.add(step.urn)
            return
        self._began[step.urn] = time.monotonic()
        if self._operation is Operation.PREVIEW:
            self._note(step)
            self._tell(StepPlanned(step))
        else:
            self._tell(StepStarted(step))

    def _after(self, meta: StepEventMetadata) -> None:
        step = _step(meta)
        if step is None:
            return
        if step.urn in self._reading:
            self._reading.discard(step.urn)
            self._read(step)
        elif step.op is Op.SAME:
            self._note(step)
        elif self._operation is not Operation.PREVIEW:
            self._note(step)
            self._tell(StepDone(step, time.monotonic() - self._began.pop(step.urn, 0.0)))

    def _read(self, step: Step) -> None:
        if self._operation is not Operation.REFRESH or step.of_primitive:
            return
        found = step.op if step.op in (Op.UPDATE, Op.DELETE) else Op.SAME
        self._note(replace(step, op=found))
        if found is not Op.SAME:
            self._tell(StepDone(step, 0.0))

    def _failed(self, meta: StepEventMetadata) -> None:
        step = _step(meta)
        if step is not None:
            self._tell(StepFailed(step))

    def _note(self, step: Step) -> None:
        if step.of_primitive:
            return
        if step.op is Op.SAME:
            self._ends.setdefault(step.urn, Op.SAME)  # what a refresh found is the news
        else:
            self._ends[step.urn] = step.op

    def _diagnostic(self, event: Any) -> None:
        severity = event.severity.partition("#")[0]
        message = event.message.strip()
        if severity == "debug" or event.ephemeral or _EMPTY_WORDS.fullmatch(message):
            return
        if severity == "error":
            if self.errors and message.startswith(_TOLD_AGAIN):
                return
            self.errors.append(message)
        self._tell(Diagnostic(severity, message, event.urn or ""))


def _step(meta: StepEventMetadata) -> Step | None:
    """A step as people see it, or None for the engine's own doings."""
    op = _OPS.get(meta.op)
    if op is None or meta.type.startswith(_OWN):
        return None
    state = meta.new or meta.old
    above = state.parent if state is not None else ""
    owner = owner_of(meta.urn) or owner_of(above or "")
    before = (meta.old.outputs if meta.old is not None else None) or {}
    applied_by = str(before.get(APPLIED_BY) or "") if owner_of(meta.urn) else ""
    return Step(meta.urn, op, meta.type, name_of(meta.urn), owner, _changes(meta), applied_by)


def _changes(meta: StepEventMetadata) -> tuple[PropertyChange, ...]:
    old = _inputs(meta.old)
    new = _inputs(meta.new)
    if meta.op is OpType.CREATE:
        return tuple(PropertyChange(key, None, value) for key, value in new.items())
    if meta.op is OpType.DELETE:
        return ()
    if meta.detailed_diff:
        return tuple(_change(p, d.diff_kind, old, new) for p, d in meta.detailed_diff.items())
    keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    return tuple(PropertyChange(key, old.get(key), new.get(key)) for key in keys)


def _change(path: str, kind: DiffKind, old: object, new: object) -> PropertyChange:
    added = kind in (DiffKind.ADD, DiffKind.ADD_REPLACE)
    gone = kind in (DiffKind.DELETE, DiffKind.DELETE_REPLACE)
    forces = kind.value.endswith("-replace")
    return PropertyChange(
        path, None if added else _at(old, path), None if gone else _at(new, path), forces
    )


def _inputs(state: Any) -> Mapping[str, Any]:
    """What the program asked for, without what the provider filled in."""
    found = (state.inputs if state is not None else None) or {}
    filled = {_INNER, *found.get(_INNER, ())}
    return {key: _known(value) for key, value in found.items() if key not in filled}


def _known(value: Any) -> Any:
    """A value with the engine's stand-in for unknown ones made plain."""
    if value == UNKNOWN:
        return Unknown()
    if isinstance(value, list):
        return [_known(item) for item in value]
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    return value


def _at(properties: object, path: str) -> object:
    """The value at a path such as `tags.team`, `queues[0].events` or `["a.b"]`."""
    found = properties
    for quoted, index, plain in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(plain or quoted.replace('\\\\"', '"'))
        elif isinstance(found, list) and index and int(index) < len(found):
            found = found[int(index)]
        else:
            return None
    return found


def first_error(text: str) -> str:
    """What follows the first `error:` in the engine's text, up to the next one."""
    found = _ERROR.search(text)
    return found["message"].strip() if found else ""
