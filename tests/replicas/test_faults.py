"""Replicas that end, hang or refuse in the midst of what is done to all of them."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

import buildflow_nb.runtime.handle as handle_module
import buildflow_nb.runtime.replicas.group as group_module
import buildflow_nb.runtime.replicas.member as member_module
import buildflow_nb.runtime.replicas.unit as unit_module
from buildflow_nb import Flow
from buildflow_nb.core.errors import RunError, ServeError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.local import File
from buildflow_nb.runtime.replicas.engine import Replicated
from buildflow_nb.runtime.replicas.mirror import Mirror

from . import shared_queue
from .child_host import ChildHost
from .declared import priced, until
from .shared_queue import SharedQueue, SharedRows, fill, stored


def rows(path: str) -> set[int]:
    return {row["n"] for row in stored(path)}


def test_a_successor_that_fails_leaves_the_old_one_at_work(host: ChildHost, tmp_path) -> None:
    path, other, app = str(tmp_path / "queue.db"), str(tmp_path / "other.db"), Flow()

    def declare(sink: str, wrong: bool) -> None:
        class Price:
            def setup(self) -> None:
                if wrong:
                    raise ValueError("no rates today")  # noqa: EM101

            def process(self, order: dict) -> dict:
                return {**order, "v": 2 if wrong else 1}

        app.consumer(source=SharedQueue(path), sink=SharedRows(sink), num_replicas=2)(Price)

    declare(path, False)
    run = app.run(block=False)
    try:
        until(lambda: len(host.alive()) == 2)
        with pytest.raises(RunError, match="no rates today"):
            declare(other, True)
        fill(path, [{"n": n} for n in range(50)])
        until(lambda: rows(path) == set(range(50)))
        until(lambda: run.snapshot().processor("Price").state is State.RUNNING)
        assert len(host.hosted) == 2
    finally:
        run.stop()


def test_a_replica_that_ends_while_all_of_them_stop_does_not_keep_the_others(
    host: ChildHost, tmp_path
) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def slow(order: dict) -> dict:
        import time

        time.sleep(2.0)
        return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(slow)
    run = app.run(block=False)
    until(lambda: len(host.alive()) == 2)
    fill(path, [{"n": n} for n in range(20)])
    until(lambda: run.snapshot().processor("slow").in_flight > 10)
    stops = threading.Timer(0.5, os.kill, (host.alive()[0].pid, signal.SIGKILL))
    stops.start()
    run.stop(timeout=4.0)
    assert run.status() is State.STOPPED
    assert host.alive() == []


def test_all_that_end_at_once_are_replaced(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    host.room = 12
    priced(app, path, num_replicas=5)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("price").replicas == 5)
        for one in host.alive():
            os.kill(one.pid, signal.SIGKILL)
        fill(path, [{"n": n} for n in range(50)])
        until(lambda: rows(path) == set(range(50)))
        assert run.status() is State.RUNNING
    finally:
        run.stop()


def test_large_elements_that_fail_do_not_end_what_is_seen(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()

    def refuse(order: dict) -> dict:
        raise ValueError(order["n"])

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), retries=0)(refuse)
    fill(path, [{"n": n, "text": "x" * 2_000_000} for n in range(30)])
    run = app.run(block=False)
    try:
        until(lambda: {failure.element["n"] for failure in app.failures()} == set(range(30)))
        assert max(host.longest) < 20_000_000
    finally:
        run.stop()


def test_a_setup_takes_as_long_as_it_takes_and_a_stop_does_not_wait_for_it(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_module, "ASK_S", 0.5)
    monkeypatch.setattr(group_module, "ASK_S", 0.5)
    path, app = str(tmp_path / "queue.db"), Flow()

    class Slow:
        def setup(self) -> None:
            import time

            time.sleep(2.0)

        def process(self, order: dict) -> dict:
            return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(Slow)
    fill(path, [{"n": n} for n in range(5)])
    run = app.run(block=False)
    try:
        until(lambda: rows(path) == set(range(5)))
        until(lambda: run.snapshot().processor("Slow").replicas == 2)
        os.kill(host.alive()[0].pid, signal.SIGKILL)
        until(lambda: len(host.hosted) == 3)
        time.sleep(0.5)  # it is in its setup
    finally:
        began = time.monotonic()
        run.stop()
    assert time.monotonic() - began < 1.8
    assert host.alive() == []


def test_a_replica_in_which_new_code_did_not_take_over_is_replaced(
    host: ChildHost, tmp_path
) -> None:
    path, other, app = str(tmp_path / "queue.db"), str(tmp_path / "other.db"), Flow()
    priced(app, path, num_replicas=2)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("price").replicas == 2)
        first = host.alive()[0]
        first.fails = "take_over"
        app.consumer(source=SharedQueue(path), sink=SharedRows(other), num_replicas=2)(price_two())
        until(lambda: first.process.poll() is not None)
        fill(path, [{"n": n} for n in range(50)])
        until(lambda: rows(other) == set(range(50)))
        until(lambda: run.snapshot().processor("price").replicas == 2)
        assert stored(path) == []
    finally:
        run.stop()


def price_two():
    def price(order: dict) -> dict:
        return {**order, "v": 2}

    return price


def test_code_that_holds_the_loop_of_its_replica_is_told(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_module, "LOOK_S", 0.5)
    path, app = str(tmp_path / "queue.db"), Flow()

    async def wait(order: dict) -> dict:
        import time

        time.sleep(6.0)  # noqa: ASYNC251  (that is the fault)
        return order

    app.consumer(source=SharedQueue(path), sink=SharedRows(path), num_replicas=2)(wait)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("wait").replicas == 2)
        fill(path, [{"n": 1}])
        said = "1 of 2 replicas does not answer; code that blocks its loop"
        until(lambda: said in run.snapshot().processor("wait").reason)
        until(lambda: rows(path) == {1})
        until(lambda: run.snapshot().processor("wait").reason == "")
    finally:
        run.stop()


def test_a_replica_that_was_frozen_hears_its_host_before_it_ends(tmp_path, monkeypatch) -> None:
    host = ChildHost(fence_s=5.0)
    monkeypatch.setattr(
        handle_module, "engine_of", lambda plan, clock: Replicated(plan, lambda _: host, clock)
    )
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("price").replicas == 1)
        (one,) = host.alive()
        os.kill(one.pid, signal.SIGSTOP)
        time.sleep(6.5)
        os.kill(one.pid, signal.SIGCONT)
        fill(path, [{"n": n} for n in range(20)])
        until(lambda: rows(path) == set(range(20)))
        time.sleep(1.5)
        assert host.alive() == [one]
    finally:
        run.stop()


def test_a_run_that_ends_by_itself_leaves_nothing_of_its_host(host: ChildHost, tmp_path) -> None:
    (tmp_path / "orders.csv").write_text("n\n1\n2\n")
    path, app = str(tmp_path / "queue.db"), Flow()
    app.consumer(source=File(str(tmp_path / "orders.csv"), "csv"), sink=SharedRows(path))(
        price_two()
    )
    run = app.run(block=False)
    assert run.wait(30.0) is State.DONE
    assert host.closed == 1
    assert host.alive() == []


def test_replicas_that_are_to_have_more_are_replaced_one_by_one(host: ChildHost, tmp_path) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path, num_replicas=2)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("price").replicas == 2)
        priced(app, path, num_replicas=2, num_cpus=2)
        until(lambda: [wants.num_cpus for wants in host.wants] == [1, 1, 2, 2])
        fill(path, [{"n": n} for n in range(30)])
        until(lambda: rows(path) == set(range(30)))
        until(lambda: run.snapshot().processor("price").replicas == 2)
    finally:
        run.stop()


def test_a_port_that_is_taken_is_told_before_the_host_is_opened(host: ChildHost) -> None:
    app = Flow()

    def where() -> dict:
        return {}

    app.endpoint("/where", "GET")(where)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"port {port} of 127.0.0.1 is taken"):
            app.run(block=False, serve_port=port)
    assert host.opened == 0


def test_what_cannot_be_made_of_a_look_is_told_and_looked_at_again(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, app = str(tmp_path / "queue.db"), Flow()
    priced(app, path)
    run = app.run(block=False)
    try:
        until(lambda: run.snapshot().processor("price").replicas == 1)
        take = Mirror.take

        def refuse(*_: object) -> None:
            raise ValueError("not a look")  # noqa: EM101

        monkeypatch.setattr(Mirror, "take", refuse)
        said = "1 of 1 replicas does not answer; ValueError: not a look"
        until(lambda: run.snapshot().processor("price").reason == said)
        monkeypatch.setattr(Mirror, "take", take)
        fill(path, [{"n": n} for n in range(20)])
        run.wait_until(drained=True, timeout=30.0)
        until(lambda: run.snapshot().processor("price").reason == "")
    finally:
        run.stop()


@dataclass(frozen=True)
class SilentQueue(SharedQueue):
    """It cannot tell what others have leased, for longer than another replica takes to come."""

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[object]:
        shared_queue.LEASE_S = 8.0  # in its replica
        async with super().source(env) as leases:
            leases.backlog = unknown
            yield leases


async def unknown() -> None:
    """Nothing is known."""


def test_what_a_lost_replica_had_leased_is_waited_for(
    host: ChildHost, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_module, "RETURNS_S", 10.0)
    path, app = str(tmp_path / "queue.db"), Flow()

    def slow(order: dict) -> dict:
        import time

        time.sleep(0.05)
        return order

    app.consumer(source=SilentQueue(path, 200), sink=SharedRows(path))(slow)
    fill(path, [{"n": n} for n in range(100)])
    run = app.run(block=False)
    try:
        until(lambda: len(stored(path)) > 5)
        os.kill(host.alive()[0].pid, signal.SIGKILL)
        run.wait_until(drained=True, timeout=40.0)
        assert rows(path) == set(range(100))
    finally:
        run.stop()
