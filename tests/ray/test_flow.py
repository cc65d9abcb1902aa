"""A flow whose replicas are actors: what it is given comes out, also when one of them is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.snapshot import State
from tests.replicas.shared_queue import SharedQueue, SharedRows, fill, stored, writers

from .rig import until


def priced(app: Flow, path: str) -> None:
    def price(order: dict) -> dict:
        import time

        time.sleep(0.004)
        print("priced", order["n"])  # noqa: T201
        return {**order, "v": 1}

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(price)


def test_actors_share_a_queue_and_one_that_is_killed_is_replaced(rig, tmp_path):
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    fill(path, [{"n": n} for n in range(600)])
    run = app.run(engine="ray", address=rig.address, block=False)
    try:
        assert until(lambda: len(writers(path)) == 2, 60.0)
        assert os.getpid() not in writers(path)
        os.kill(next(iter(writers(path))), signal.SIGKILL)
        run.wait_until(drained=True, timeout=60.0)
        counts = Counter(row["n"] for row in stored(path))
        assert set(counts) == set(range(600))
        assert sum(counts.values()) - 600 <= 30  # what one replica had in flight, twice at most
        assert any("another one is started" in line.text for line in app.logs("price"))
        assert any("priced 599" in line.text for line in app.logs("price"))
        assert {row["v"] for row in stored(path)} == {1}
    finally:
        run.stop()
    assert run.status() is State.STOPPED


def test_an_address_that_cannot_be_used_starts_nothing(rig, tmp_path):
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    with pytest.raises(UsageError, match="Ray's client is not supported"):
        app.run(engine="ray", address="ray://head:10001", block=False)
    with pytest.raises(UsageError, match="Ray's client is not supported"):
        app.engine_said("ray", "ray://head:10001")  # nor is anything said of a start
