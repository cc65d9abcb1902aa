"""An operation as plain text: what a terminal shows, and what a saved notebook falls back to.

What is counted are primitives; each has its cloud resources beneath. What goes comes first.

    - S3Bucket s3://old-exports  1,204 objects go, 2.1 GB
        aws:s3/bucket:Bucket old-exports
    ~ SQSQueue orders
        aws:sqs/queue:Queue orders
            visibilityTimeoutSeconds: 30 -> 60
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildflow_nb.core.status.operations import (
    Deletions,
    Diagnostic,
    Op,
    Operation,
    OperationEvent,
    Outcome,
    PropertyChange,
    Step,
    StepDone,
    StepFailed,
    Summary,
    Unknown,
)
from buildflow_nb.core.status.plan import AS_IT_WAS, ORDER, Change, Review, changes_of

__all__ = (
    "SIGNS",
    "changed",
    "gist",
    "grouped",
    "headline",
    "line",
    "loss_of",
    "lost",
    "monthly_of",
    "plan_text",
    "price_said",
    "reason",
    "shown_value",
    "told",
    "warnings",
)

SIGNS = {Op.CREATE: "+", Op.UPDATE: "~", Op.REPLACE: "±", Op.DELETE: "-", Op.READ: "?"}
_DONE = {
    Op.CREATE: "created",
    Op.UPDATE: "updated",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
    Op.READ: "read",
}
_FOUND = {Op.UPDATE: "changed", Op.DELETE: "gone"}  # what a refresh finds
_PROGRAM_ERROR = "python inline source runtime error: "  # the SDK's words before a program's own
LISTED = 5  # primitives that a warning names
LONGEST = 200  # characters of one value; a policy is longer


def shown_value(value: object) -> str:
    """A property's value in one short line."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    text = text.replace(f'"{Unknown()}"', repr(Unknown()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def changed(change: PropertyChange) -> str:
    """One property as it was and as it will be."""
    forces = "  (forces replacement)" if change.forces_replacement else ""
    if change.old is None:
        return f"{change.path}: {shown_value(change.new)}{forces}"
    new = shown_value(change.new) if change.new is not None else "removed"
    return f"{change.path}: {shown_value(change.old)} → {new}{forces}"


def gist(message: str) -> str:
    """The line of an engine's message that says what is wrong; tracebacks come after it."""
    text = message.strip().removeprefix(_PROGRAM_ERROR)
    first, _, rest = text.partition("\n")
    if first.endswith("occurred:"):  # a provider that counts its errors before it tells them
        first = rest.strip().partition("\n")[0].lstrip("*) 1")
    return first.strip()


def headline(outcome: Outcome) -> str:
    """The counts of an operation in one line."""
    summary = outcome.summary
    if outcome.nothing_to_do:
        if summary.operation is Operation.DESTROY or not summary.left:
            return "nothing to do: the stack is empty"
        return f"nothing to do: {_resources(summary.left)} as declared"
    if summary.operation is Operation.PREVIEW:
        counts = ", ".join(f"{n} to {op.value}" for op, n in _in_order(summary.counts))
        rest = f", {summary.left} unchanged" if summary.left else ""
        return f"{counts}{rest}"
    if summary.operation is Operation.REFRESH:
        counts = ", ".join(f"{n} {_FOUND.get(op, op.value)}" for op, n in _in_order(summary.counts))
    else:
        counts = ", ".join(f"{n} {_DONE[op]}" for op, n in _in_order(summary.counts))
    return f"{counts or 'nothing changed'} in {summary.seconds:.1f} s"


def plan_text(outcome: Outcome) -> str:
    """A preview as text: what would be lost, primitives, their resources, what it costs."""
    return "\n".join(
        [
            headline(outcome),
            *lost(outcome.review),
            *warnings(outcome.deletions),
            *_plan_lines(outcome),
            *_price_lines(outcome.review),
        ]
    )


def lost(review: Review | None) -> list[str]:
    """A line about what the deletions of a plan would lose."""
    said = "" if review is None else review.loss.said
    return [f"! would delete {said}"] if said else []


def loss_of(review: Review | None, change: Change) -> str:
    """What is lost with one primitive: "1,204 objects go, 2.1 GB"; "" if nothing."""
    if review is None or change.owner not in review.loss.by_owner:
        return ""
    held = review.loss.by_owner[change.owner]
    if held is None or held.count is None:
        noun = "what it holds" if held is None else f"its {held.noun}"
        return f"{noun} would go: not known how many"
    if held.count == 0:  # there by an estimate alone
        return f"{held}{AS_IT_WAS}"
    count, _, size = str(held).partition(", ") if held.bytes else (str(held), "", "")
    return f"{count} go{'es' if held.count == 1 else ''}{f', {size}' if size else ''}"


def monthly_of(review: Review | None, change: Change) -> str:
    """What a change does to the price a month: "-0.05", "at least +124.00", "not known", or ""."""
    if review is None or review.price.free or change.owner not in review.price.by_owner:
        return ""
    monthly = review.price.by_owner[change.owner]
    if monthly.usd is None:
        return "not known"
    sign = {Op.DELETE: "-", Op.CREATE: "+"}.get(change.op, "")
    return f"{'at least ' if monthly.missing else ''}{sign}{monthly.usd:,.2f}"


def price_said(review: Review | None) -> str:
    """What the stack costs a month then, with the difference; "" where there is nothing to say."""
    if review is None or not review.price.said:
        return ""
    change = review.price.change
    differs = f"; this plan: {'+' if change > 0 else '-'}{abs(change):,.2f}" if change else ""
    return f"{review.price.said}{differs}"


def _price_lines(review: Review | None) -> list[str]:
    said = price_said(review)
    return [said] if said else []


def warnings(deletions: Deletions) -> list[str]:
    """A line about deletions that a person would not expect."""
    return [f"! this {told(deletions)}"] if deletions.must_type or deletions.by_others else []


def told(deletions: Deletions) -> str:
    """What is deleted, how much of it, and whose it is: "deletes 3 resources: …"."""
    count = deletions.count + deletions.replaced
    others = [f"{_listed(what)} (applied by {who})" for who, what in deletions.by_others.items()]
    theirs = {one for what in deletions.by_others.values() for one in what}
    rest = [one for one in deletions.unmentioned if one not in theirs]
    if rest and not deletions.all_wanted:
        others.append(f"{_listed(rest)} (not declared in this session)")
    whose = f": {'; '.join(others)}" if others else f", and creates {deletions.created}"
    word = "replaces" if count == deletions.replaced else "deletes"
    return f"{word} {_resources(count)}{whose}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


def _plan_lines(outcome: Outcome) -> Iterator[str]:
    review = outcome.review
    for change in changes_of(outcome.steps):
        monthly = monthly_of(review, change)
        notes = (loss_of(review, change), f"{monthly} a month" if monthly else "")
        yield "  ".join(filter(None, (f"{SIGNS[change.op]} {change.owner}", *notes)))
        for step in change.steps:
            other = f"{SIGNS[step.op]} " if step.op is not change.op else ""
            yield f"    {other}{step.type} {step.name}"
            yield from (f"        {changed(one)}" for one in step.changes)


def grouped(steps: Iterable[Step]) -> list[tuple[str, list[Step]]]:
    """Steps by the primitive that they belong to, its own first; the same in every run.

    The engine works on many things at once, so its own order is another one each time. What goes
    stands first: it is what cannot be undone.
    """
    by_owner: dict[str, list[Step]] = {}
    for step in sorted(steps, key=lambda step: (not step.of_primitive, step.urn)):
        by_owner.setdefault(step.owner, []).append(step)
    return sorted(by_owner.items(), key=lambda pair: (_overall(pair[1]) is not Op.DELETE, pair[0]))


def _overall(steps: list[Step]) -> Op:
    """What happens to a primitive, told by its own step or else by those of its resources."""
    told = [step.op for step in steps if step.of_primitive] or [step.op for step in steps]
    return told[0] if len(set(told)) == 1 else Op.UPDATE


def line(event: OperationEvent) -> str:
    """One event as a line of progress, "" for what is no news."""
    if isinstance(event, StepDone) and not event.step.of_primitive:
        word = _DONE[event.step.op]
        return f"{SIGNS[event.step.op]} {event.step.type} {event.step.name} {word}"
    if isinstance(event, StepFailed):
        return f"! {event.step.type} {event.step.name} failed"
    if isinstance(event, Diagnostic) and event.severity in ("warning", "error"):
        return f"{event.severity}: {gist(event.message)}"
    if isinstance(event, Diagnostic) and not event.urn:
        return event.message
    if isinstance(event, Summary):
        return headline(Outcome(event)) if not event.error else ""
    return ""


def _in_order(changes: Mapping[Op, int]) -> list[tuple[Op, int]]:
    return [(op, changes[op]) for op in ORDER if changes.get(op)]


def _resources(count: int) -> str:
    return f"{count} resource{'s' if count != 1 else ''}"


# Why an operation failed, in one line that says how to mend it where that is known.
# The engine knows nothing of this project's options, files and local cloud; where its words mean
# one of those, they are said in ours.

_KILLED = re.compile(r"^\s*code: -(?P<signal>\d+)$", re.MULTILINE)
_LAST_WORDS = 300  # characters of a text in which nothing is known


def reason(text: str, told: str, stack: str, operation: Operation) -> str:
    """The line; `text` is all that the engine said, `told` its first error."""
    if "incorrect passphrase" in text:
        return (
            f"stack {stack!r} was made with another passphrase; set PULUMI_CONFIG_PASSPHRASE to "
            "that one, or put it back into .buildflow/passphrase"
        )
    killed = _KILLED.search(text)
    if killed is not None:
        return (
            f"the engine was killed (signal {killed['signal']}); what was done is kept, and the "
            "next operation finds out about the rest"
        )
    if "did not begin responding to RPC connections" in told:
        return f"the local cloud ended meanwhile; {operation.value} again starts it"
    if "because it is protected" in told:
        return (
            "a resource is protected from deletion; apply with "
            f"FlowOptions(enable_destroy_protection=False) first ({gist(told)})"
        )
    return gist(told) or f"the engine failed: {text.strip()[-_LAST_WORDS:]}"
