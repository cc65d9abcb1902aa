"""An operation from its question to its outcome; nothing is deleted that nobody has seen.

Where somebody is asked, the plan comes first. Where nobody is, it is looked for whenever the state
tells that there may be something to delete that takes more than a yes
(`core/status/operations.py`). What was agreed to is done only to the stack that the plan was made
of: if somebody else has changed it meanwhile, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeclarationError, InfraError, RejectedError
from buildflow_nb.core.primitive import key_of
from buildflow_nb.core.status.operations import (
    Confirm,
    Consent,
    DeclaredPrimitives,
    Deletions,
    Diagnostic,
    Op,
    Operation,
    OperationEvent,
    OperationListener,
    Outcome,
    Result,
    StepPlanned,
    Summary,
)
from buildflow_nb.core.status.plan import Review, changes_of, counts_of
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.infra.losses import losses
from buildflow_nb.infra.managed import in_order, keys_of
from buildflow_nb.infra.operation import not_begun, operate
from buildflow_nb.infra.plan_price import KnownUsage, priced
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.state_mark import state_mark
from buildflow_nb.infra.report import told
from buildflow_nb.infra.stop import Stop

__all__ = ("FlowOperation", "finished")


class OperatedStack(Protocol):
    """What an operation wants to know of a flow's stack."""

    @property
    def identity(self) -> str:
        """Who applies."""
        ...

    @property
    def usage(self) -> KnownUsage:
        """How its resources are used."""
        ...

    def view(self, managed: tuple[object, ...]) -> StackView:
        """The stack as its state says."""
        ...

    def deployment(
        self, managed: tuple[object, ...], attach: Callable[[str], None] | None = None
    ) -> Deployment:
        """What an operation works on; with `attach`, the local cloud is started, which hears it."""
        ...


class FlowOperation:
    """Operations on what a flow declares, told to one listener."""

    def __init__(
        self,
        stack: OperatedStack,
        declared: DeclaredPrimitives,
        listener: OperationListener,
        stop: Stop | None,
    ) -> None:
        self._stack = stack
        self._declared = declared
        self._listener = listener
        self._stop = stop
        self._expected = ""  # the mark of the state that the plan was made of

    def carry_out(self, operation: Operation) -> Outcome:
        """See `FlowStack.operate`."""
        if self._asked_to_stop:
            cancelled = not_begun(operation)
            self._listener(cancelled)
            return Outcome(cancelled)
        events: list[OperationEvent] = []

        declared = self._declared

        def hear(event: OperationEvent) -> None:
            if isinstance(event, Summary):
                event = _counted(event, events, declared.managed)
            else:
                events.append(event)
            self._listener(event)

        before = self._stack.view(declared.managed)
        deployment = self._stack.deployment(
            declared.managed, lambda text: hear(Diagnostic("info", text))
        )
        deployment = replace(deployment, expected=self._expected)
        summary = operate(deployment, operation, hear, self._stop)
        outcome = Outcome(_counted(summary, events, declared.managed), tuple(events))
        if operation is not Operation.PREVIEW:
            return outcome
        outcome = weighed(outcome, deployment, declared.mentioned, Operation.APPLY)
        if summary.result is not Result.DONE:
            return outcome
        return replace(outcome, review=self._reviewed(outcome, before, deployment.env))

    def change(self, operation: Operation, consent: Consent) -> Outcome:
        """See `FlowStack.change`."""
        self._expected = state_mark(self._stack.deployment(()))
        to_see = consent.confirm is not None or (not consent.delete and self._may_delete(operation))
        if to_see and not self._asked_to_stop:
            plan = self._plan(operation)
            self._expected = plan.summary.mark
            if plan.nothing_to_do:
                return plan
            if consent.delete:
                plan = replace(plan, deletions=replace(plan.deletions, allowed=True))
            if not self._asked_to_stop:
                _agreed(operation, plan, consent.confirm, self._listener)
        return finished(self.carry_out(operation))

    def _reviewed(self, plan: Outcome, before: StackView, env: Env) -> Review:
        """What would be lost by a plan, and what it costs; the state is as it was before."""
        changes = changes_of(plan.steps)
        lost = losses(changes, before, self._declared.mentioned, env)
        price = priced(changes, in_order(self._declared.managed), before, self._stack.usage)
        return Review(changes, lost, price)

    def _may_delete(self, operation: Operation) -> bool:
        """Whether it may delete what is another's or was not declared, told by the state alone."""
        view = self._stack.view(self._declared.managed)
        others = set(view.applied_by.values()) - {"", self._stack.identity}
        undeclared = operation is Operation.APPLY and view.undeclared
        return bool(view.unknown or others or undeclared)

    def _plan(self, operation: Operation) -> Outcome:
        destroys = operation is Operation.DESTROY
        wanted = replace(self._declared, managed=()) if destroys else self._declared
        looking = FlowOperation(self._stack, wanted, lambda _: None, self._stop)
        plan = finished(looking.carry_out(Operation.PREVIEW))
        if not destroys:
            return plan  # a preview is weighed as an apply
        return weighed(plan, self._stack.deployment(()), wanted.mentioned, operation)

    @property
    def _asked_to_stop(self) -> bool:
        return self._stop is not None and self._stop.asked


def _agreed(
    operation: Operation, plan: Outcome, confirm: Confirm | None, listener: OperationListener
) -> None:
    """Go on only with consent; then `listener` hears the plan.

    Raises:
        RejectedError: it was not given.
    """
    if confirm is None:
        if plan.deletions.must_type:
            msg = (
                f"{operation.value} {told(plan.deletions)}; nothing was changed: leave out --yes "
                "and confirm it, or add --delete"
            )
            raise RejectedError(msg)
        return
    if not confirm(plan):
        msg = f"{operation.value} rejected; nothing was changed"
        raise RejectedError(msg)
    for event in plan.events:
        if isinstance(event, StepPlanned):
            listener(event)


def _counted(
    summary: Summary, events: Iterable[OperationEvent], managed: Iterable[object]
) -> Summary:
    """The summary with primitives counted."""
    steps = Outcome(summary, tuple(events)).steps
    changes = changes_of(steps)
    if not changes and summary.changes:
        return summary  # no step was told
    try:
        declared = {key_of(one) for one in in_order(managed)}
    except DeclarationError:  # the operation has said it
        declared = set()
    kept = len(declared - {change.owner for change in changes})
    return replace(summary, primitives=counts_of(changes), kept=kept if summary.unchanged else 0)


def finished(outcome: Outcome) -> Outcome:
    """The outcome of an operation that is done.

    Raises:
        InfraError: it failed or was interrupted; says which resource and why.
    """
    summary = outcome.summary
    if summary.result is not Result.DONE:
        msg = f"{summary.operation.value}: {summary.error}"
        raise InfraError(msg, summary.text)
    return outcome


def weighed(
    plan: Outcome, deployment: Deployment, mentioned: Iterable[object], operation: Operation
) -> Outcome:
    """A plan for an operation, with its deletions weighed.

    A deletion belongs to whoever applied it last; of a state that does not say so, to nobody.
    """
    counts = plan.summary.counts
    gone = [step for step in plan.steps if step.op is Op.DELETE and step.of_primitive]
    replaced = [
        step
        for step in plan.steps
        if step.op is Op.REPLACE and step.applied_by not in ("", deployment.identity)
    ]
    by_others: dict[str, tuple[str, ...]] = {}
    for step in sorted((*gone, *replaced), key=lambda step: step.owner):
        if step.applied_by not in ("", deployment.identity):
            there = by_others.get(step.applied_by, ())
            by_others[step.applied_by] = there if step.owner in there else (*there, step.owner)
    known = keys_of(mentioned)
    return replace(
        plan,
        deletions=Deletions(
            counts.get(Op.DELETE, 0),
            counts.get(Op.CREATE, 0),
            len({step.owner for step in replaced}),
            by_others,
            tuple(sorted(step.owner for step in gone if step.owner not in known)),
            all_wanted=operation is Operation.DESTROY,
        ),
    )
