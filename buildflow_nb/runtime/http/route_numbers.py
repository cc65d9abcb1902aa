"""What a route says of itself in numbers; all of them are in its ledger."""

from __future__ import annotations

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.status.snapshot import ProcessorSnapshot
from buildflow_nb.runtime.autoscale.sample import Load, Totals
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted

__all__ = ("RouteNumbers",)


class RouteNumbers:
    """The part of a unit that is asked how it is."""

    spec: ProcessorSpec
    ledger: Ledger

    def snapshot(self) -> ProcessorSnapshot:
        """The route at this moment."""
        return self.ledger.snapshot(self.spec, None)

    def counted(self) -> Counted:
        """What it has counted until now."""
        return self.ledger.metrics.counted()

    def load(self) -> Load:
        """What it has answered; requests under way are in its snapshot."""
        m = self.ledger.metrics
        return Load(Totals(done=m.taken.total, failed=m.failed, faults=m.failed))
