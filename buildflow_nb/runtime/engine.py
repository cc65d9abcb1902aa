"""Where the processors of a run work: what makes their units, and owns what these share.

The supervisor says what runs, and when one takes another's place; how and where it is done is the
engine's. So the supervisor knows no kind of unit, and whatever keeps to this runs a flow alike.
All methods run on the loop thread, in the order of `open`, everything else, `close`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.unit import Unit

__all__ = ("Engine",)


class Engine(Protocol):
    """Makes the units of one run."""

    @property
    def swap_timeout_s(self) -> float:
        """Seconds for a unit to finish what is in flight when it is replaced or removed."""
        ...

    @property
    def open_s(self) -> float:
        """Seconds that `open` may take."""
        ...

    @property
    def start_s(self) -> float:
        """Seconds more that processors take to come up than in this process."""
        ...

    @property
    def address(self) -> str | None:
        """Where routes are served, as `http://host:port`, if any are."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether there is something to close, also when all units have ended by themselves."""
        ...

    async def open(self, specs: Sequence[ProcessorSpec]) -> None:
        """Get what units of these share.

        Raises:
            ServeError: a port cannot be had.
            RunError: where they are to work cannot be had.
        """
        ...

    async def unit(self, spec: ProcessorSpec, ledger: Ledger, on_end: Callable[[], None]) -> Unit:
        """Make a unit, which does nothing yet; `on_end` is called if it ends by itself.

        Raises:
            ServeError: a port cannot be had.
        """
        ...

    async def send(self, spec: ProcessorSpec, element: object, ledger: Ledger) -> list[object]:
        """Run one element through a processor that has ended; nothing is written.

        Raises:
            Exception: the code cannot be set up, or whatever it raised.
        """
        ...

    async def retry(self, spec: ProcessorSpec, wanted: RetryInput, ledger: Ledger) -> RetryResult:
        """Run one failed element through a processor that is done, and into its sink.

        Raises:
            Exception: the code cannot be set up, or the sink not opened.
        """
        ...

    async def refresh(self) -> None:
        """Take over the flow's code around requests, as it is declared now.

        Raises:
            BuildFlowError: it cannot be used; what was there before stays.
        """
        ...

    async def ending(self) -> None:
        """The run is about to end, with a drain: tell whoever sends requests here."""
        ...

    async def close(self, grace_s: float) -> None:
        """Let go of what units shared, once; what is under way has `grace_s` seconds."""
        ...
