"""One running processor, as the supervisor sees it: started, swapped, stopped, asked.

Consumers (`consumer/consumer.py`) and routes (`http/route.py`) are units; an engine makes them. All
methods run on the loop thread.
"""

from __future__ import annotations

from typing import Protocol

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.snapshot import ProcessorSnapshot
from buildflow_nb.runtime.autoscale.sample import Load
from buildflow_nb.runtime.liveness import Liveness
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted

__all__ = ("Unit", "not_ready")


class Unit(Protocol):
    """A processor at work."""

    ledger: Ledger
    live: Liveness

    @property
    def spec(self) -> ProcessorSpec:
        """What it runs at this moment."""
        ...

    @property
    def drained(self) -> bool:
        """Whether nothing is in flight, and nothing more comes by itself."""
        ...

    @property
    def read_to_end(self) -> object | None:
        """The source that it has read to its end, if it reads one that ends and is done."""
        ...

    async def start(self) -> None:
        """Set up and begin; returns once it works or waits for a temporary fault to pass.

        Raises:
            Exception: the user's setup failed, or the declaration cannot run; nothing stays open.
        """
        ...

    async def prepare(self, old: Unit | None) -> None:
        """Set the code up and open the sink, unseen: `old` is the processor still, if there is one.

        Raises:
            Exception: the setup failed, or the sink can never be opened; nothing stays open.
        """
        ...

    async def take_over(self, old: Unit | None, timeout_s: float) -> None:
        """Be the processor, after `prepare`; what `old` has in flight is finished, or taken over.

        Never raises.
        """
        ...

    async def retire(self, timeout_s: float) -> None:
        """Stop, with a drain, for a successor that takes over; nobody else is told."""
        ...

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code take over without a gap; False where only a restart will do.

        Raises:
            Exception: the new code's setup failed; the old code still runs.
        """
        ...

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """End: no new elements; with `drain`, finish and settle those in flight.

        What is not finished when the time is up is given back to the source. Never raises for
        what the user's code or a connection does on the way out: that is logged to the ledger.
        """
        ...

    async def send(self, element: object) -> list[object]:
        """Run one element through the real code and give what it returned, written nowhere.

        Raises:
            Exception: whatever the code raised.
        """
        ...

    async def retry(self, wanted: RetryInput) -> RetryResult:
        """Run one failed element through the real code and into the sink.

        Raises:
            UsageError: it does not work at this moment.
            TimeoutError: the sink does not take it for now; it may still be written.
        """
        ...

    def snapshot(self) -> ProcessorSnapshot:
        """The unit at this moment."""
        ...

    def counted(self) -> Counted:
        """What it has counted until this moment; asked each second, so it has to be cheap."""
        ...

    def load(self) -> Load:
        """What it has done, for whoever decides how many replicas it has."""
        ...


def not_ready(spec: ProcessorSpec, ledger: Ledger) -> UsageError:
    """The error for a retry while its processor does not work; says how to mend it."""
    state, name = ledger.state, f"{spec.kind} {spec.id!r}"
    why = f" ({ledger.reason})" if ledger.reason else ""
    if state.ended:
        cure = f"%buildflow start {spec.id}, or app.start({spec.id!r}), starts it again"
    else:
        cure = "wait until it is running"
    return UsageError(f"{name} is {state.value}{why}; {cure}, then retry; the failure is kept")
