"""What engine, groups and units of replicas are to each other, so that each stands by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.replicas.host import Host
from buildflow_nb.runtime.replicas.messages import UnitLook
from buildflow_nb.runtime.replicas.placement import Placement

if TYPE_CHECKING:
    from buildflow_nb.runtime.replicas.group import Group

__all__ = ("Held", "Places", "Replicas")


class Held(Protocol):
    """A processor that works in the replicas of a group."""

    ledger: Ledger
    wanted: int
    """How many replicas it asks for."""

    @property
    def spec(self) -> ProcessorSpec:
        """What it runs at this moment."""
        ...

    def sent(self) -> bytes:
        """Its spec, packed as the arguments of one call."""
        ...

    def came_up(self, error: Exception | None) -> bool:
        """A replica has begun with it, or could not; whether it is worth trying again."""
        ...

    def lost(self, look: UnitLook | None) -> None:
        """A replica has ended by itself; this is what it looked like last."""
        ...

    def looked(self) -> None:
        """There are new looks, or another number of replicas."""
        ...

    def given_up(self, why: str) -> None:
        """No replica is started any more."""
        ...


class Replicas(Protocol):
    """What groups of one run share."""

    clock: Clock

    @property
    def host(self) -> Host:
        """Where replicas are made."""
        ...

    async def ready(self) -> None:
        """Wait until the host works."""
        ...

    @property
    def pause_s(self) -> float:
        """Seconds between two looks: longer, the more replicas there are."""
        ...


class Places(Protocol):
    """The engine, as its units see it."""

    def group_for(self, spec: ProcessorSpec, placement: Placement) -> Group:
        """The replicas in which a processor is to work.

        Raises:
            UsageError: what it uses is open in replicas of others, which it cannot join.
        """
        ...

    def placed(self, spec: ProcessorSpec) -> Placement:
        """What it asks for."""
        ...

    def left(self, spec: ProcessorSpec) -> None:
        """A processor works in no group any more."""
        ...

    def works(self, spec: ProcessorSpec, group: Group) -> None:
        """A processor has taken over in a group."""
        ...

    def stays(self, spec: ProcessorSpec, group: Group | None) -> None:
        """A processor goes on where it was, since its successor cannot begin."""
        ...

    def wanted(self, group: Group) -> int:
        """How many replicas a group is to have: as many as most of its processors want."""
        ...

    def declared(self, spec: ProcessorSpec) -> int:
        """How many replicas a processor begins with."""
        ...

    async def begun(self, spec: ProcessorSpec) -> None:
        """A processor has come up, or never will.

        Raises:
            ServeError: it was the last of the routes, and the port cannot be had.
        """
        ...

    async def packed(self, spec: ProcessorSpec) -> bytes:
        """A spec as replicas get it, as the arguments of one call.

        Raises:
            CannotShipError: it cannot be sent.
            Exception: a dependency of the run's could not be made.
        """
        ...
