"""An operation that a button began: the plan, the question, the progress, the end.

The operation runs on the thread of a click; what it asks is shown in the panel, and the thread
waits for the answer, for a bounded time. Cancel and the kernel's ■ end it after the step under way;
Kill, or ■ a second time, at once. Nothing of this ever blocks a cell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from buildflow_nb.cockpit.views.operation_view import OperationView
from buildflow_nb.core.errors import RejectedError
from buildflow_nb.core.status.operations import (
    Operation,
    OperationEvent,
    Outcome,
    StepDone,
    StepFailed,
    StepStarted,
)
from buildflow_nb.flow import Flow
from buildflow_nb.infra.stop import Stop

__all__ = ("OperationBox",)

ANSWER_S = 1_800.0  # a question that nobody answers for so long is answered with no


class OperationBox:
    """The operations of one panel, one at a time; `changed` is called when there is news."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self.stop: Stop | None = None
        self.view: OperationView | None = None
        self.plan: Outcome | None = None
        self._answered = threading.Event()
        self._answer = False
        self.asking = False
        self.typed_wrong = ""
        self.must_type = ""
        self.done: set[str] = set()
        self.under_way: dict[str, str] = {}

    @property
    def busy(self) -> bool:
        """Whether an operation is under way or asks."""
        return self.stop is not None

    @property
    def ending(self) -> bool:
        """Whether it was asked to end, and has not yet."""
        return self.stop is not None and self.stop.asked

    def carry_out(self, operation: Operation, flow: Flow, values: Mapping[str, Any]) -> str:
        """Carry an operation out on this thread.

        Raises:
            InfraError: it failed, was cancelled, or the answer was no.
        """
        self._begin(operation, flow)
        stop = self.stop
        try:
            if operation is Operation.PREVIEW:
                outcome = flow.preview(self._hear, stop=stop)
            elif operation is Operation.REFRESH:
                outcome = flow.refresh(self._hear, stop=stop)
            else:
                change = flow.apply if operation is Operation.APPLY else flow.destroy
                outcome = change(
                    yes=values["yes"],
                    delete=values["delete"],
                    confirm=self._ask,
                    listener=self._hear,
                    stop=stop,
                )
        except RejectedError:
            self.view = None
            raise
        finally:
            self.asking, self.stop = False, None
            self._changed()
        if (outcome.nothing_to_do or outcome.review) and self.view is not None:
            self.view.take(outcome, show=False)
        return ""  # the box itself tells how it ended

    def end_soon(self) -> bool:
        """End what is under way after its step; asked twice (a double click), it stays at that.

        Says whether there was anything.
        """
        if self.stop is None:
            return False
        return self.stop.asked or self.cancel()

    def cancel(self) -> bool:
        """End what is under way, the second time at once; whether there was anything."""
        stop = self.stop
        if stop is None:
            return False
        if self.asking:
            self.answer(yes=False)
        else:
            stop.ask()
        self._changed()
        return True

    def answer(self, *, yes: bool, typed: str = "") -> None:
        """Answer the question; a yes that needs something typed counts only with it."""
        if not self.asking:
            return
        if yes and self.must_type and typed.strip() != self.must_type:
            self.typed_wrong = f"type {self.must_type} to confirm"
            self._changed()
            return
        self._answer = yes
        self._answered.set()

    def close(self) -> None:
        """Put the box away, unless something is under way."""
        if not self.busy:
            self.view = None
            self._changed()

    def _begin(self, operation: Operation, flow: Flow) -> None:
        with self._lock:
            self.stop = Stop()
            self.view = OperationView(operation, flow.stack)
            self.plan, self.asking, self.typed_wrong = None, False, ""
            destroys = operation is Operation.DESTROY
            self.must_type = flow.stack if destroys and not flow.place.local else ""
            self.done, self.under_way = set(), {}
        self._changed()

    def _ask(self, plan: Outcome) -> bool:
        """Show the plan and wait for an answer, on the click's thread.

        Raises:
            RejectedError: nobody answered, or it was cancelled.
        """
        self.plan = plan
        self.must_type = plan.deletions.must_type or self.must_type
        self._answered.clear()
        self._answer, self.asking = False, True
        self._changed()
        answered = self._answered.wait(ANSWER_S)
        self.asking = False
        self._changed()
        if not answered:
            msg = f"nobody answered within {ANSWER_S / 60:.0f} minutes; nothing was changed"
            raise RejectedError(msg)
        return self._answer

    def _hear(self, event: OperationEvent) -> None:
        if self.view is not None:
            self.view.note(event)
        if isinstance(event, StepStarted) and not event.step.of_primitive:
            self.under_way[event.step.urn] = f"{event.step.op.value} {event.step.name}"
        elif isinstance(event, (StepDone, StepFailed)) and not event.step.of_primitive:
            self.under_way.pop(event.step.urn, None)
            self.done.add(event.step.urn)
        self._changed()
