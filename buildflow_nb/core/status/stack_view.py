"""A stack as its state says, without asking the engine or the cloud: frozen data for every face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ("StackResource", "StackView")


@dataclass(frozen=True, slots=True)
class StackResource:
    """One cloud resource that the stack holds.

    `type` is the engine's ("aws:sqs/queue:Queue"), `owner` the primitive that it belongs to
    ("SQSQueue orders"), `id` the provider's, `url` its page in the cloud's console or "".
    """

    type: str
    name: str
    owner: str
    id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class StackView:
    """What a stack holds, beside what the flow declares.

    `changed_at` is seconds since the epoch, None where nothing was ever applied. `pending` names
    what an operation was cut off at. `missing` are declared primitives that it does not hold,
    `undeclared` those that it holds and that are not declared: apply makes and deletes them.
    `applied_by` says who applied a primitive last, where the state has it. `unknown` says why
    nothing of this is known, "" where it is.
    """

    stack: str
    local: bool
    changed_at: float | None = None
    resources: tuple[StackResource, ...] = ()
    pending: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    unknown: str = ""
    applied_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_declared(self) -> bool:
        """Whether it is known to hold just what is declared, properties aside."""
        return not (self.unknown or self.pending or self.missing or self.undeclared)
