"""How many replicas there are: more and fewer under load, none, and many at once."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

import buildflow_nb.runtime.autoscale.scaler as scaler_module
from buildflow_nb import Flow

from . import shared_queue
from .child_host import ChildHost
from .declared import priced, until
from .shared_queue import SharedQueue, SharedRows, fill, stored


def test_replicas_come_and_go_under_load_and_nothing_is_lost_or_taken_twice(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaler_module, "LOOK_S", 0.2)
    monkeypatch.setattr(shared_queue, "LEASE_S", 60.0)  # nothing comes again for being slow
    path, app = str(tmp_path / "queue.db"), Flow()

    def wait(order: dict) -> dict:

        time.sleep(0.02)
        return order

    app.consumer(
        source=SharedQueue(path),
        sink=SharedRows(path),
        max_replicas=4,
        autoscale_frequency_secs=1,
        consumer_backlog_burn_threshold=2,
    )(wait)
    fill(path, [{"n": n} for n in range(1_500)])
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("wait").replicas == 4)
        until(lambda: {row["n"] for row in stored(path)} == set(range(1_500)))
        until(lambda: len(host.alive()) == 1)
        fill(path, [{"n": n} for n in range(1_500, 1_550)])
        until(lambda: {row["n"] for row in stored(path)} == set(range(1_550)))
        assert Counter(row["n"] for row in stored(path)) == Counter(range(1_550))
        assert any("→ 4" in line.text for line in app.logs("wait"))
    finally:
        run.stop()


def test_a_consumer_without_work_sleeps_and_is_woken(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaler_module, "LOOK_S", 0.2)
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path, min_replicas=0, autoscale_frequency_secs=1, num_replicas=2)
    fill(path, [{"n": n} for n in range(30)])
    run = app.run(block=False)
    try:
        until(lambda: len(stored(path)) == 30)
        until(lambda: len(host.hosted) == 2 and host.alive() == [])
        shot = run.snapshot().processor("price")
        assert (shot.replicas, shot.wanted, shot.elements_in) == (0, 0, 30)
        until(lambda: "one comes when" in run.snapshot().processor("price").reason)
        assert run.snapshot().drained
        fill(path, [{"n": n} for n in range(30, 50)])
        until(lambda: len(stored(path)) == 50)
        until(lambda: run.snapshot().processor("price").elements_in == 50)
        assert any("0 → 1" in line.text for line in app.logs("price"))
    finally:
        run.stop()


def test_replicas_of_a_slow_setup_come_beside_each_other(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    class Price:
        def setup(self) -> None:
            import time
            from pathlib import Path

            begun = Path(f"{path}.begun")
            begun.mkdir(exist_ok=True)
            (begun / str(os.getpid())).touch()
            deadline = time.monotonic() + 20.0
            while len(list(begun.iterdir())) < 3:
                assert time.monotonic() < deadline, "nobody came meanwhile"
                time.sleep(0.01)

        def process(self, order: dict) -> dict:
            return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=3)(Price)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("Price").replicas == 3)
        assert len(host.hosted) == 3
    finally:
        run.stop()
