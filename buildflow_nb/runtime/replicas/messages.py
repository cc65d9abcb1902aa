"""What passes between a run and its replicas, as data; all of it is sent by value.

A look brings what is new since the last one, bounded, so that what it costs does not depend on how
many elements there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from buildflow_nb.core.declaring.hooks import Hooks
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import ProcessorSnapshot
from buildflow_nb.runtime.autoscale.sample import Load
from buildflow_nb.runtime.replicas.traced import VisitSeen

__all__ = ("Asked", "FailureSeen", "Look", "LookRequest", "Opening", "PassageSeen", "UnitLook")


@dataclass(frozen=True, slots=True)
class Opening:
    """What a replica is told of its run, before anything else.

    `serves` says that there are routes, which are served on `host` and `port`, 0 for any free one;
    nobody may listen there before the `first` replica does.
    """

    flow_id: str
    run_id: str
    env: Env
    host: str = "127.0.0.1"
    port: int = 0
    serves: bool = False
    first: bool = True
    body_bytes: int | None = None
    hooks: Hooks = field(default_factory=dict)
    trace_sampling: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a look is to bring of one processor.

    `passages` is how many the run keeps, `lines` and `failures` the numbers of the last that it
    has; `inputs` how many more a recording wants, 0 where there is none.
    """

    passages: int = 20
    lines: int = 0
    failures: int = 0
    inputs: int = 0


@dataclass(frozen=True, slots=True)
class LookRequest:
    """`activity` is how much has moved in the run until now, as far as the run knows."""

    activity: int
    asked: Mapping[str, Asked]


@dataclass(frozen=True, slots=True)
class PassageSeen:
    """A passage as the run keeps it; `shown` is the packed element with its results."""

    at: float
    seconds: float
    shown: bytes


@dataclass(frozen=True, slots=True)
class FailureSeen:
    """A failure as it was kept where it happened; `packed` is its fault, with the raw element.

    `number` is what it is called there.
    """

    at: float
    fate: str
    error: str
    traceback: str
    packed: bytes
    number: int = 0


@dataclass(frozen=True, slots=True)
class UnitLook:
    """One processor in one replica.

    `counts` are the steps of its histogram of latencies; `fresh` of those since the last look,
    which took `fresh_s` seconds together. `drained` holds for the activity that the look was asked
    with. `parts` are sums of what elements' time went into since then, in whole seconds.
    """

    shot: ProcessorSnapshot
    counts: tuple[int, ...]
    drained: bool
    load: Load = field(default_factory=Load)
    passages: tuple[PassageSeen, ...] = ()
    failures: tuple[FailureSeen, ...] = ()
    failures_at: int = 0
    lines: tuple[tuple[float, str, str], ...] = ()
    lines_at: int = 0
    recorded: tuple[str, ...] = ()
    fresh: Mapping[int, int] = field(default_factory=dict)
    fresh_s: float = 0.0
    parts: tuple[float, ...] = ()
    visits: tuple[VisitSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a replica looks like: `moved` says that something happened since the last look."""

    activity: int
    moved: bool
    units: Mapping[str, UnitLook]
