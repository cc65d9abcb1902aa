"""Invented snapshots, and a run that shows them."""

from dataclasses import replace

from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.flow import Flow

PRICE = ProcessorSnapshot(
    processor_id="price",
    kind="consumer",
    state=State.RUNNING,
    source="Queue orders",
    sink="Table priced",
    elements_in=512_906,
    elements_out=512_897,
    failed=9,
    failures_kept=9,
    in_flight=200,
    backlog=312,
    in_per_s=2140.4,
    out_per_s=2131.0,
    p50_s=0.0012,
    p99_s=0.0084,
    history=(1, 5, 3, 9),
)
WORST = ProcessorSnapshot(
    processor_id="worst", kind="endpoint", state=State.WAITING, reason="no table yet"
)


def shot(*processors, **words):
    made = FlowSnapshot(
        flow_id="shop",
        stack="local",
        state=State.RUNNING,
        at=1_700_000_000.0,
        started_at=1_699_999_000.0,
        address="http://127.0.0.1:8000",
        processors=processors or (PRICE, WORST),
    )
    return replace(made, **words)


class FakeRun:
    """A run whose end is set by the test, and in which nothing ever passed."""

    def __init__(self):
        self.running = True

    def apply(self, changes):
        """Take what was declared."""

    def has(self, processor_id):
        """Whether a processor is part of it."""
        return False


def fake_flow(name="shop"):
    """A real flow whose run and snapshot are the test's."""
    flow = Flow(name)
    flow.handle = FakeRun()
    flow.now = shot()
    flow.snapshot = lambda _timeout=None: flow.now

    def put(**words):
        flow.now = replace(flow.now, processors=(replace(PRICE, **words), WORST))

    flow.put = put
    return flow
