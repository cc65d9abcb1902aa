"""A run that is whatever a test says it is."""

from __future__ import annotations

from dataclasses import replace

from buildflow_nb.core.events import ElementFailed, StateChanged
from buildflow_nb.core.status.snapshot import Failure, FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.runtime.observability.logs import LogRing

PRICE = ProcessorSnapshot(
    "price", "consumer", State.RUNNING, elements_in=1234, elements_out=1200, failed=3, in_per_s=50.4
)
SNAPSHOT = FlowSnapshot("shop", "local", State.RUNNING, 5.0, 1.0, "http://127.0.0.1:8000", (PRICE,))


class FakeRun:
    """Stands in for a RunHandle."""

    def __init__(self, snapshot=SNAPSHOT):
        self.now = snapshot
        self.runtime_address = None
        self.rings = {one.processor_id: LogRing() for one in snapshot.processors}

    def snapshot(self):
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def logs(self, processor_id, after=0):
        return self.rings[processor_id].lines(after)

    def become(self, **changes):
        """Change the one processor."""
        self.now = replace(self.now, processors=(replace(self.now.processors[0], **changes),))


def failure(number=1, error="ValueError: no [red]"):
    """An element that failed."""
    return ElementFailed(
        Failure(number, 2.0, "price", {"id": 1}, error, "", 1, None, "dead-lettered")
    )


def state(to, processor_id="price", reason=""):
    """A change of state."""
    return StateChanged(3.0, processor_id, to, reason)
