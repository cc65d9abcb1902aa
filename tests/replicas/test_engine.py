"""A flow in replicas that are child processes: to its faces it is a run like any other."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

import duckdb
import pytest

import buildflow_nb.runtime.handle as handle_module
from buildflow_nb import Flow
from buildflow_nb.core.errors import RunError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.observability.recording import Recorder
from buildflow_nb.runtime.replicas.engine import Replicated

from .child_host import ChildHost
from .declared import PATIENCE_S, named, priced, until
from .shared_queue import SharedQueue, SharedRows, fill, stored, writers


def test_replicas_share_a_queue(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    fill(path, [{"n": n} for n in range(500)])
    priced(app, path, num_replicas=3)
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 3)
        run.wait_until(drained=True, timeout=PATIENCE_S)
        assert sorted(row["n"] for row in stored(path)) == list(range(500))
        assert os.getpid() not in writers(path)
        shot = run.snapshot().processor("price")
        assert shot is not None
        assert (shot.elements_in, shot.elements_out, shot.in_flight) == (500, 500, 0)
        assert shot.state is State.RUNNING
        assert {p.element["n"] for p in app.peek("price")} <= set(range(500))
        assert app.send("price", {"n": 7}) == [{"n": 7, "v": 1}]
        assert any(line.text.endswith("priced 7") for line in app.logs("price"))
    finally:
        app.handle.stop()
    assert run.status() is State.STOPPED
    assert host.alive() == []
    assert run.snapshot().processor("price").elements_in == 500


def test_a_killed_replica_is_replaced_and_nothing_is_lost(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def price(order: dict) -> dict:
        import time

        time.sleep(0.004)
        return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(price)
    fill(path, [{"n": n} for n in range(400)])
    run = app.run(block=False)
    try:
        until(lambda: len(stored(path)) > 60 and len(host.alive()) == 2)
        os.kill(host.alive()[0].pid, signal.SIGKILL)
        until(lambda: len(host.hosted) == 3)
        run.wait_until(drained=True, timeout=PATIENCE_S)
        counts = Counter(row["n"] for row in stored(path))
        assert set(counts) == set(range(400))
        assert sum(counts.values()) - 400 <= 30  # what one replica had in flight, twice at most
        assert any("another one is started" in line.text for line in app.logs("price"))
    finally:
        run.stop()


def test_new_code_takes_over_in_all_replicas_at_once(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def declare(version: int) -> None:
        def price(order: dict) -> dict:
            return {**order, "v": version}

        app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=3)(price)

    declare(1)
    fill(path, [{"n": n} for n in range(300)])
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 3)
        run.wait_until(drained=True, timeout=PATIENCE_S)
        declare(2)
        fill(path, [{"n": n} for n in range(300, 600)])
        until(lambda: len(stored(path)) == 600)
        assert Counter((row["n"] >= 300, row["v"]) for row in stored(path)) == {
            (False, 1): 300,
            (True, 2): 300,
        }
        assert len(host.hosted) == 3
        assert run.snapshot().processor("price").version == 2
    finally:
        run.stop()


def test_code_that_cannot_be_set_up_leaves_the_old_in_all_replicas(
    host: ChildHost, tmp_path
) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def declare(wrong: bool) -> None:
        class Price:
            def setup(self) -> None:
                if wrong:
                    raise ValueError("no rates today")  # noqa: EM101

            def process(self, order: dict) -> dict:
                return {**order, "v": 2 if wrong else 1}

        app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(Price)

    declare(False)
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 2)
        with pytest.raises(RunError, match="no rates today"):
            declare(True)
        fill(path, [{"n": n} for n in range(50)])
        until(lambda: len(stored(path)) == 50)
        assert {row["v"] for row in stored(path)} == {1}
    finally:
        run.stop()


def test_a_setup_that_fails_at_the_start_is_the_processors_failure(
    host: ChildHost, tmp_path
) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    class Price:
        def setup(self) -> None:
            raise ValueError("no rates today")  # noqa: EM101

        def process(self, order: dict) -> dict:
            return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path))(Price)
    run = app.run(block=False)
    with pytest.raises(RunError, match="no rates today"):
        run.wait(PATIENCE_S)
    until(lambda: host.alive() == [])


def test_failures_come_with_their_elements_and_can_be_retried(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path, retries=0, num_replicas=2, dead_letter=SharedRows(str(tmp_path / "dead.db")))
    fill(path, [{"n": n} for n in (1, -1, 2)])
    run = app.run(block=False)
    try:
        until(lambda: len(app.failures("price")) == 1)
        (failure,) = app.failures("price")
        assert failure.element == {"n": -1}
        assert failure.error == "ValueError: no such order"
        assert 'raise ValueError("no such order")' in failure.traceback
        assert failure.origin is not None
        assert failure.origin.startswith("replica")
        with pytest.raises(ValueError, match="no such order"):
            failure.retry()
        assert failure.retry({"n": 3}) == [{"n": 3, "v": 1}]
        assert app.failures("price") == []
        assert {row["n"] for row in stored(path)} == {1, 2, 3}
        assert run.snapshot().processor("price").failed == 0
    finally:
        run.stop()


def test_what_only_one_process_can_read_has_one_replica_with_threads(
    host: ChildHost, tmp_path
) -> None:
    (tmp_path / "orders.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(200)))
    path, app = str(tmp_path / "queue.db"), Flow()

    def count(order: dict) -> dict:
        return {"n": int(order["n"])}

    source = File(str(tmp_path / "orders.csv"), "csv")
    app.consumer(source=source, sink=SharedRows(path), num_replicas=4)(count)
    run = app.run(block=False)
    assert run.wait(PATIENCE_S) is State.DONE
    assert sorted(row["n"] for row in stored(path)) == list(range(200))
    assert len(host.hosted) == 1
    assert any("are threads of one replica" in line.text for line in app.logs("count"))
    assert run.snapshot().processor("count").elements_in == 200


def test_what_only_one_process_can_have_open_is_in_one_replica(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    first, second = str(tmp_path / "a.db"), str(tmp_path / "b.db")
    fill(first, [{"n": n} for n in range(50)])
    fill(second, [{"n": n} for n in range(50, 90)])
    for name, source in (("one", first), ("two", second)):
        app.consumer(source=SharedQueue(source), sink=DuckDBTable(f"{path}.duck", name))(
            named(name)
        )
    run = app.run(block=False)
    try:
        run.wait_until(drained=True, timeout=PATIENCE_S)
        assert len(host.hosted) == 1
    finally:
        run.stop()
    with duckdb.connect(f"{path}.duck") as db:
        assert db.execute("select count(*) from one").fetchall() == [(50,)]
        assert db.execute("select count(*) from two").fetchall() == [(40,)]


def test_a_replica_whose_host_is_silent_drains_and_ends(tmp_path, monkeypatch) -> None:
    host = ChildHost(fence_s=1.0, beats=False)
    monkeypatch.setattr(
        handle_module, "engine_of", lambda plan, clock: Replicated(plan, lambda _: host, clock)
    )
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    run = app.run(block=False)
    try:
        until(lambda: len(host.hosted) == 1)
        until(lambda: host.hosted[0].process.poll() is not None)
        until(lambda: len(host.hosted) > 1)
    finally:
        run.stop()


def test_a_recording_and_a_tap_hear_of_what_replicas_get(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path, num_replicas=2)
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 2)
        recorder = Recorder(20)
        thread = threading.Thread(target=run.record, args=("price", recorder, PATIENCE_S))
        thread.start()
        until(lambda: run.recorder("price") is recorder)
        time.sleep(1.2)  # until the replicas have heard of it
        fill(path, [{"n": n} for n in range(60)])
        thread.join(PATIENCE_S)
        assert len(recorder.lines) >= 20
        rounds = iter(range(60, 6_000, 20))

        def enough(count: int) -> bool:
            first = next(rounds)
            fill(path, [{"n": n} for n in range(first, first + 20)])
            return count >= 100

        run.tap("price", 100, enough)
        assert len(app.peek("price", 100)) == 100
    finally:
        run.stop()


def test_stopped_and_started_again_its_totals_go_on(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    other = SharedQueue(str(tmp_path / "other.db"))
    app.consumer(source=other, sink=SharedRows(path))(named("idle"))
    fill(path, [{"n": n} for n in range(30)])
    run = app.run(block=False)
    try:
        run.wait_until(drained=True, timeout=PATIENCE_S)
        run.stop("price")
        until(lambda: len(host.alive()) == 1)
        assert run.snapshot().processor("price").state is State.STOPPED
        fill(path, [{"n": n} for n in range(30, 50)])
        run.start("price")
        until(lambda: len(stored(path)) == 50)
        until(lambda: run.snapshot().processor("price").elements_in == 50)
        app.remove("idle")
        until(lambda: len(host.alive()) == 1)
    finally:
        run.stop()


def test_a_host_that_is_lost_is_opened_again(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    fill(path, [{"n": n} for n in range(30)])
    run = app.run(block=False)
    try:
        until(lambda: len(stored(path)) == 30)
        for one in host.alive():
            os.kill(one.pid, signal.SIGKILL)
        loop_thread().call(lambda: host.on_lost("the driver has ended"))
        fill(path, [{"n": n} for n in range(30, 60)])
        until(lambda: {row["n"] for row in stored(path)} == set(range(60)))
        assert host.opened == 2
    finally:
        run.stop()
