"""Changes of a stack's cloud resources, as data; every face renders the same events.

An operation (preview, apply, refresh, destroy) is a stream: steps as they are planned, started and
ended, diagnostics as the engine gives them, one summary at the end. Values that the engine holds
secret arrive here as `[secret]`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded where a plan is made
    from buildflow_nb.core.status.plan import Review

__all__ = (
    "Confirm",
    "Consent",
    "DeclaredPrimitives",
    "Deletions",
    "Diagnostic",
    "Op",
    "Operation",
    "OperationEvent",
    "OperationListener",
    "Outcome",
    "PropertyChange",
    "Result",
    "Step",
    "StepDone",
    "StepFailed",
    "StepPlanned",
    "StepStarted",
    "Summary",
    "Unknown",
)

# What a plan would delete, and whether a plain yes is enough for it.
# Nothing is deleted unseen: what another notebook or program applied, what was not declared in
# this session (two may go by one name), and more than is created takes a typed confirmation or
# `--delete`. What is replaced is deleted, too: with another's resource goes what it holds.


@dataclass(frozen=True, slots=True)
class Deletions:
    """The deletions of a plan; primitives are told by class and id ("SQSQueue orders").

    `count`, `created` and `replaced` are numbers of primitives; those that are replaced are counted
    where others applied them. `by_others` has the primitives that somebody else applied, by who it
    was. `unmentioned` are those that were not declared in this session. `allowed` says that
    deleting was asked for (`--delete`), `all_wanted` that it was the very thing asked for
    (`destroy`).
    """

    count: int = 0
    created: int = 0
    replaced: int = 0
    by_others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmentioned: tuple[str, ...] = ()
    allowed: bool = False
    all_wanted: bool = False

    @property
    def must_type(self) -> str:
        """What has to be typed to agree, "" where a yes is enough."""
        own = self.count > self.created or self.unmentioned
        asks = self.by_others or (own and not self.all_wanted)
        total = self.count + self.replaced
        return f"delete {total}" if asks and total and not self.allowed else ""


class Unknown:
    """A value that only the cloud can give, once the resource is there."""

    def __repr__(self) -> str:
        return "(known after apply)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown)

    def __hash__(self) -> int:
        return hash(Unknown)


class Operation(Enum):
    """What a person asked for."""

    PREVIEW = "preview"
    APPLY = "apply"
    REFRESH = "refresh"
    DESTROY = "destroy"


class Op(Enum):
    """What happens to one resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


class Result(Enum):
    """How an operation ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


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


@dataclass(frozen=True, slots=True)
class StepPlanned:
    """A preview found that this step would be taken."""

    step: Step


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step is under way."""

    step: Step


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step was taken, in so many seconds."""

    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step could not be taken; the reason comes as a diagnostic with the same urn."""

    step: Step


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What the engine, a provider or the program says; severity is info, warning or error."""

    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """How it ended: steps by kind, without those that stay the same.

    `error` is the one line that says what failed, `text` everything that the engine said. `mark` is
    of the state that it left: while it is the same, nobody has changed the stack. `primitives` and
    `kept` count primitives: those that are changed, and those that stay; None where that is not
    told, and only resources are counted.
    """

    operation: Operation
    result: Result
    changes: Mapping[Op, int] = field(default_factory=dict)
    unchanged: int = 0
    seconds: float = 0.0
    error: str = ""
    text: str = ""
    mark: str = ""
    primitives: Mapping[Op, int] | None = None
    kept: int = 0

    @property
    def counts(self) -> Mapping[Op, int]:
        """What is changed, counted as everywhere: by primitive, where that is told."""
        return self.changes if self.primitives is None else self.primitives

    @property
    def left(self) -> int:
        """What stays as it is, counted likewise."""
        return self.unchanged if self.primitives is None else self.kept


OperationEvent = StepPlanned | StepStarted | StepDone | StepFailed | Diagnostic | Summary
OperationListener = Callable[[OperationEvent], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An operation as a whole, once it has ended: its events, and the summary apart.

    `deletions` is what a plan has of them, weighed; `review` what else there is to say of a plan.

    It may be awaited, and is there at once; so the same line works in a script and in a coroutine.
    """

    summary: Summary
    events: tuple[OperationEvent, ...] = ()
    deletions: Deletions = field(default_factory=Deletions)
    review: Review | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """What changed, or would change, in the engine's order."""
        told = (StepPlanned, StepDone, StepFailed)
        return tuple(event.step for event in self.events if isinstance(event, told))

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything is as declared."""
        return self.summary.result is Result.DONE and not self.summary.changes

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self
        yield


Confirm = Callable[[Outcome], bool]


@dataclass(frozen=True, slots=True)
class DeclaredPrimitives:
    """What a flow manages, and all that it has managed in this session."""

    managed: tuple[object, ...]
    mentioned: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """Who is asked before something is changed, None for a yes beforehand.

    `delete` agrees to deletions of any kind.
    """

    confirm: Confirm | None
    delete: bool = False
