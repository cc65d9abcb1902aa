"""Traces and times of elements that replicas have, as their run tells them."""

from __future__ import annotations

from buildflow_nb import Flow
from buildflow_nb.core.status.traces import Part

from .child_host import ChildHost
from .declared import PATIENCE_S, until
from .shared_queue import SharedQueue, SharedRows, fill


def test_traces_of_replicas_are_their_runs(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def price(order: dict) -> dict:
        print("pricing", order["n"])  # noqa: T201
        if order["n"] == 7:
            msg = "no price"
            raise ValueError(msg)
        return order

    words = {"num_replicas": 2, "retries": 1}
    app.consumer(source=SharedQueue(path), sink=SharedRows(path), **words)(price)
    fill(path, [{"n": n} for n in range(20)])
    run = app.run(block=False)
    try:
        run.wait_until(count=20, timeout=PATIENCE_S)
        until(lambda: app.failures("price") and app.failures("price")[0].trace_id)
        (failure,) = [each for each in app.failures("price") if each.tries == 2][:1]
        trace = app.trace(failure)
        assert [step.tries for step in trace.steps] == [1, 2]
        assert trace.steps[-1].failure == failure.number
        assert trace.steps[-1].span.error == "ValueError: no price"
        assert trace.came_in == {"n": 7}
        until(lambda: any(not one.failed for one in app.traces("price")))
        passed = next(one for one in app.traces("price") if not one.failed)
        step = passed.steps[0]
        assert step.span.fate == "written"
        assert {Part.CODE, Part.SINK} <= {span.part for span in step.parts}
        assert abs(step.span.started_at - app.snapshot().at) < PATIENCE_S
        assert passed.said.startswith("took ")
        until(lambda: app.profile("price").elements > 0)
        profile = app.profile("price")
        assert sum(profile.shares.values()) == 100
        assert profile.workers == 2
    finally:
        run.stop()
