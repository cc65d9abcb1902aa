"""The history of replicas is that of their processor: what each has counted, once."""

from __future__ import annotations

import os
import signal

from buildflow_nb import Flow
from buildflow_nb.runtime.observability.exposition import families

from .child_host import ChildHost
from .declared import PATIENCE_S, priced, until
from .shared_queue import fill


def sums(app: Flow) -> tuple[int, ...]:
    frame = app.history("price")
    found = frame[["in_per_s", "out_per_s", "failed_per_s"]].mul(frame["step_s"], axis=0).sum()
    return tuple(round(value) for value in found)


def test_the_history_of_replicas_adds_up(host: ChildHost, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, app = str(tmp_path / "queue.db"), Flow("replicated")
    fill(path, [{"n": n} for n in range(-5, 295)])
    priced(app, path, num_replicas=2, retries=0)
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 2)
        until(lambda: len(app.failures("price")) >= 5)
        run.wait_until(count=300, timeout=PATIENCE_S)
        shot = run.snapshot().processor("price")
        until(lambda: sums(app)[1] >= shot.elements_out)
        frame = app.history("price")
        assert frame["p99_s"].max() > 0
        os.kill(host.alive()[0].pid, signal.SIGKILL)
        until(lambda: len(host.hosted) == 3 and len(host.alive()) == 2)
    finally:
        run.stop()
    shot = run.snapshot().processor("price")
    assert sums(app) == (shot.elements_in, shot.elements_out, shot.failed)
    told = {family.name: family for family in families("f", "s", run._supervisor.units, 0.0)}
    values = {
        dict(s.labels)["direction"]: s.value for s in told["buildflow_elements_total"].samples
    }
    assert values == {"in": shot.elements_in, "out": shot.elements_out}
