"""A plan as people weigh it: changes of primitives, what would be lost, what it costs a month.

One thing is counted everywhere: primitives, each with its cloud resources beneath. What goes comes
first, since it cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from buildflow_nb.core.resource_look import Held
from buildflow_nb.core.status.operations import Op, Step

__all__ = (
    "AS_IT_WAS",
    "ORDER",
    "Change",
    "Loss",
    "Monthly",
    "Price",
    "Review",
    "changes_of",
    "counts_of",
    "vaguest",
)

ORDER = (Op.DELETE, Op.REPLACE, Op.UPDATE, Op.READ, Op.CREATE)
AS_IT_WAS = ", as it was some minutes ago"  # an estimate of none: clouds count late


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one primitive: to `owner` ("SQSQueue orders"), by these cloud resources."""

    owner: str
    op: Op
    steps: tuple[Step, ...]
    applied_by: str = ""

    @property
    def kind(self) -> str:
        """The primitive's class."""
        return self.owner.partition(" ")[0]

    @property
    def name(self) -> str:
        """The primitive's id."""
        return self.owner.partition(" ")[2] or self.owner


def changes_of(steps: Iterable[Step]) -> tuple[Change, ...]:
    """Changes by primitive, in `ORDER`, and by name; a resource of no primitive stands for one."""
    by_owner: dict[str, dict[str, Step]] = {}
    for step in steps:
        owner = step.owner or f"{step.type} {step.name}"
        by_owner.setdefault(owner, {})[step.urn] = step
    found = [_change(owner, list(group.values())) for owner, group in by_owner.items()]
    told = [change for change in found if change is not None]
    return tuple(sorted(told, key=lambda change: (ORDER.index(change.op), change.owner)))


def _change(owner: str, steps: list[Step]) -> Change | None:
    own = [step for step in steps if step.of_primitive]
    resources = [step for step in steps if not step.of_primitive and step.op in ORDER]
    if not resources:
        return None
    ops = {step.op for step in resources}
    told = own[0].op if own and own[0].op in (Op.CREATE, Op.DELETE) else None
    if Op.REPLACE in ops:
        op = Op.REPLACE
    elif told is not None:
        op = told
    else:
        op = next(iter(ops)) if len(ops) == 1 else Op.UPDATE
    applied_by = next((step.applied_by for step in own if step.applied_by), "")
    ordered = sorted(resources, key=lambda step: (ORDER.index(step.op), step.urn))
    return Change(owner, op, tuple(ordered), applied_by)


def counts_of(changes: Iterable[Change]) -> dict[Op, int]:
    """How many primitives are changed how, in `ORDER`."""
    found = dict.fromkeys(ORDER, 0)
    for change in changes:
        found[change.op] += 1
    return {op: count for op, count in found.items() if count}


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be lost by the deletions of a plan, by primitive; `held` is None where unknown.

    A primitive that is known to hold nothing is not in it; one that held none by an estimate is.
    """

    by_owner: Mapping[str, Held | None] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """In a few words: "1,204 objects, 3 messages"; "" where nothing is known to be lost."""
        totals: dict[str, tuple[int, str]] = {}
        unknown = 0
        for held in self.by_owner.values():
            if held is None or held.count is None:
                unknown += 1
            else:
                count, about = totals.get(held.noun, (0, ""))
                totals[held.noun] = (count + held.count, vaguest((about, held.about)))
        parts = [
            f"{Held(noun, count, about)}{'' if count else AS_IT_WAS}"
            for noun, (count, about) in totals.items()
            if count or about
        ]
        if unknown:
            parts.append(f"and what {unknown} {'hold' if unknown > 1 else 'holds'}: not known")
        return ", ".join(parts)


def vaguest(abouts: Iterable[str]) -> str:
    """How sure a sum is, of how sure its parts are: "at least", "about" or ""."""
    found = set(abouts)
    return next((word for word in ("at least", "about") if word in found), "")


@dataclass(frozen=True, slots=True)
class Monthly:
    """The price of one primitive a month, in US dollars; None where it is not known.

    `basis` says how it comes about, or why it is not known. `missing` names parts that are not in
    it ("storage"): with any, it costs at least `usd`.
    """

    owner: str
    usd: float | None
    basis: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Price:
    """What a stack costs a month with a plan carried out, and what of it the plan changes.

    `total` is of what there is then; it leaves out what is not known, whose primitives are in
    `unknown`. `change` is the difference to before, None where a part of it is not known. `said`
    is a sentence with the basis. `free` says that
    nothing costs anything, since all is on this machine.
    """

    total: float = 0.0
    change: float | None = 0.0
    unknown: tuple[str, ...] = ()
    by_owner: Mapping[str, Monthly] = field(default_factory=dict)
    said: str = ""
    sources: tuple[str, ...] = ()
    free: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """A plan, weighed: its changes, what would be lost, what it costs."""

    changes: tuple[Change, ...]
    loss: Loss = field(default_factory=Loss)
    price: Price = field(default_factory=Price)
