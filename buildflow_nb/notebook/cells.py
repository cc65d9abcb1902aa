"""What a cell registers, as one transaction: all of it takes effect when the cell has run, or none.

A cell is known by the front end's cell id. What it registered or managed the last time and not this
time is removed, so a renamed function takes its predecessor's place. Without a cell id (papermill,
a terminal) the function's name alone tells, and nothing is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.declaring.hooks import HookKey, Hooks
from buildflow_nb.core.errors import BuildFlowError, DeclarationError
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.acknowledged import acknowledged

__all__ = ("CellInfo", "Cells")

T = TypeVar("T")


class CellInfo(Protocol):
    """What IPython says about a cell that it runs."""

    cell_id: str | None
    store_history: bool


@dataclass(frozen=True, slots=True)
class _Open:
    info: CellInfo
    flow: Flow
    before: Mapping[str, ProcessorSpec]
    mentions: Mapping[str, int]
    hooks: Hooks


class Cells:
    """The cells of one notebook; called on the kernel's main thread, before and after each cell."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._open: _Open | None = None
        self._owner: Flow | None = None
        self._owned: dict[str, set[str]] = {}
        self._managed: dict[str, set[str]] = {}
        self._hooks: dict[str, set[HookKey]] = {}

    def begin(self, info: CellInfo, flow: Flow | None) -> None:
        """Open the transaction; a cell that a cell runs belongs to the outer one."""
        if self._open is not None:
            if not info.store_history:
                return
            self.abandon()  # its end was never told, so it did not end well
        if flow is not None:
            registry = flow.registry
            self._open = _Open(info, flow, flow.processors, registry.mentions, registry.hooks)
            flow.registry.hold()

    def end(self, info: CellInfo | None, flow: Flow | None, *, success: bool) -> None:
        """Close the transaction of the cell that `info` belongs to (None: whichever is open)."""
        opened = self._open
        if opened is None or (info is not None and info is not opened.info):
            return
        self._open = None
        if opened.flow.registry.held and not success:
            self._undo(opened)
            return
        self._keep(opened, flow, success=success)

    def abandon(self) -> None:
        """Undo an open transaction, if there is one."""
        if self._open is not None:
            self._open.flow.registry.rollback()
            self._open = None

    def owner(self, processor_id: str) -> str | None:
        """The id of the cell that registered a processor."""
        return next((cell for cell, names in self._owned.items() if processor_id in names), None)

    def _keep(self, opened: _Open, flow: Flow | None, *, success: bool) -> None:
        owner, owned = self._owner, _copied(self._owned)
        managed, hooked = _copied(self._managed), _copied(self._hooks)
        if flow is not None:
            before = opened.before if flow is opened.flow else {}
            self._own(opened.info.cell_id, flow, before, replace=success)
            mentions = opened.mentions if flow is opened.flow else {}
            self._manage(opened.info.cell_id, flow, mentions, replace=success)
            hooks = opened.hooks if flow is opened.flow else {}
            self._own_hooks(opened.info.cell_id, flow, hooks, replace=success)
        try:
            opened.flow.registry.refuse_taken()  # what this cell does not declare any more is gone
        except DeclarationError as error:
            self._owner, self._owned, self._managed, self._hooks = owner, owned, managed, hooked
            self._say(f"buildflow: this cell declared nothing: {error}")
            return
        said: list[str] = []
        try:
            changes = opened.flow.registry.release()
        except (BuildFlowError, TimeoutError) as error:
            self._say(f"buildflow: the running flow did not take this cell over: {error}")
        else:
            said = list(acknowledged(opened.flow, changes))
            for line in said:
                self._say(f"buildflow: {line}")
        if opened.flow.handle is not None:
            for note in opened.flow.handle.notes():
                if not any(note.partition(": ")[2] in line for line in said):
                    self._say(f"buildflow: {note}")

    def _own(
        self,
        cell_id: str | None,
        flow: Flow,
        before: Mapping[str, ProcessorSpec],
        *,
        replace: bool,
    ) -> None:
        if flow is not self._owner:
            self._owner, self._owned, self._managed, self._hooks = flow, {}, {}, {}
        after = flow.processors
        now = {name for name, spec in after.items() if before.get(name) is not spec}
        if cell_id is None:
            return
        earlier = self._owned.get(cell_id, set())
        for names in self._owned.values():
            names.difference_update(now)
        self._owned[cell_id] = now if replace else earlier | now
        for ghost in sorted((earlier - now) if replace else ()):
            if ghost in after:
                flow.remove(ghost)

    def _own_hooks(self, cell_id: str | None, flow: Flow, before: Hooks, *, replace: bool) -> None:
        """Take away the flow's code that this cell declared before, and no cell does now."""
        after = flow.registry.hooks
        now = {key for key, hook in after.items() if before.get(key) is not hook}
        if cell_id is None:
            return
        earlier = self._hooks.get(cell_id, set())
        for keys in self._hooks.values():
            keys.difference_update(now)
        self._hooks[cell_id] = now if replace else earlier | now
        for key in (earlier - now) if replace else ():
            if key in after:
                flow.registry.remove_hook(key)

    def _manage(
        self, cell_id: str | None, flow: Flow, before: Mapping[str, int], *, replace: bool
    ) -> None:
        """Let what this cell managed before, and no cell does now, be managed no longer."""
        after = flow.registry.mentions
        now = {key for key, count in after.items() if before.get(key) != count}
        if cell_id is None:
            return
        earlier = self._managed.get(cell_id, set())
        self._managed[cell_id] = now if replace else earlier | now
        elsewhere = set().union(*self._managed.values())
        gone = sorted(key for key in earlier - elsewhere if flow.registry.unmanage(key))
        if gone:
            self._say(
                f"buildflow: {', '.join(gone)} {'is' if len(gone) == 1 else 'are'} managed no "
                "longer; the next apply deletes what was applied, once confirmed"
            )

    def _undo(self, opened: _Open) -> None:
        flow, registry = opened.flow, opened.flow.registry
        touched = {n for n, spec in flow.processors.items() if opened.before.get(n) is not spec}
        if flow is self._owner and opened.info.cell_id is not None:
            touched |= self._owned.get(opened.info.cell_id, set())
        registry.rollback()
        kept = sorted(touched & set(opened.before))
        if kept:
            runs = flow.handle is not None and flow.handle.running
            names = ", ".join(map(repr, kept))
            verb = "keeps running" if runs else "stays declared"
            self._say(f"buildflow: this cell failed, so {names} {verb} as it was before")


def _copied(names: Mapping[str, set[T]]) -> dict[str, set[T]]:
    return {cell: set(found) for cell, found in names.items()}
