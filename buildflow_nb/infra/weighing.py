"""Weighs what a plan would delete: whose it is, how much, and whether this session declared it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from buildflow_nb.core.status.deletions import Deletions
from buildflow_nb.core.status.operations import Op, Operation, Outcome
from buildflow_nb.infra.managed import keys_of
from buildflow_nb.infra.pulumi.deployment import Deployment

__all__ = ("weighed",)


def weighed(
    plan: Outcome, deployment: Deployment, mentioned: Iterable[object], operation: Operation
) -> Outcome:
    """A plan for an operation, with its deletions weighed.

    A deletion belongs to whoever applied it last; of a state that does not say so, to nobody.
    """
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
            plan.summary.changes.get(Op.DELETE, 0),
            plan.summary.changes.get(Op.CREATE, 0),
            len({step.urn for step in replaced}),
            by_others,
            tuple(sorted(step.owner for step in gone if step.owner not in known)),
            all_wanted=operation is Operation.DESTROY,
        ),
    )
