"""One cloud resource and what happens to it, as the engine tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ("Op", "PropertyChange", "Step")


class Op(Enum):
    """What happens to one resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property of a resource; `old` or `new` is None where it was or will be absent."""

    path: str
    old: object
    new: object
    forces_replacement: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One resource and what happens to it.

    `type` is the engine's ("aws:sqs/queue:Queue"), `name` the resource's name in the program.
    `owner` names the primitive that it belongs to by class and id ("SQSQueue orders"); the step of
    the primitive itself has the type `buildflow:CLASS`. `applied_by` is who applied the primitive
    before, where that is told.
    """

    urn: str
    op: Op
    type: str
    name: str
    owner: str
    changes: tuple[PropertyChange, ...] = ()
    applied_by: str = ""

    @property
    def of_primitive(self) -> bool:
        """Whether this is the node of a primitive, which has no properties of its own."""
        return self.type.startswith("buildflow:")
