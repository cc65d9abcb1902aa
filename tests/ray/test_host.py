"""Replicas on a cluster that was there before: made, called, and lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from buildflow_nb.core.errors import RunError
from buildflow_nb.runtime.concurrency.loop import loop_thread
from buildflow_nb.runtime.ray.host import RayHost
from buildflow_nb.runtime.replicas.host import GoneError, Wants

from .conftest import Opened
from .rig import STAND_IN, until


@pytest.fixture
def replica(shared):
    made = shared.spawn("orders")
    yield made
    shared.kill(made)


class TestCalls:
    def test_it_is_a_process_of_its_own_that_knows_its_name(self, shared, replica):
        assert shared.call(replica, "name_of") == b"orders"
        os.kill(replica.pid, 0)
        assert replica.node == ""

    def test_many_at_once_are_answered_each_with_its_own(self, shared, replica):
        with ThreadPoolExecutor(40) as pool:
            sent = [str(number).encode() for number in range(200)]
            assert list(pool.map(lambda one: shared.call(replica, "echo", one), sent)) == sent

    def test_one_that_takes_long_holds_up_no_other(self, shared, replica):
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(shared.call, replica, "wait", b"2")
            begun = time.monotonic()
            assert shared.call(replica, "echo", b"x") == b"x"
            assert time.monotonic() - begun < 1.5
            assert slow.result() == b"waited"

    @pytest.mark.parametrize("size", [0, 2**20, 20 * 2**20, 120 * 2**20])
    def test_a_payload_may_be_large(self, shared, replica, size):
        payload = os.urandom(min(size, 2**20)) * max(1, size >> 20)
        assert shared.call(replica, "echo", payload, 60.0) == payload

    def test_what_the_replica_raises_is_told(self, shared, replica):
        with pytest.raises(RunError, match=r"^orders: ValueError: bad luck$"):
            shared.call(replica, "raise", b"bad luck")

    def test_what_takes_too_long_is_late_and_the_replica_goes_on(self, shared, replica):
        with pytest.raises(TimeoutError, match=r"orders has not answered 'wait' within 0.5 s"):
            shared.call(replica, "wait", b"3", 0.5)
        assert shared.call(replica, "echo", b"x") == b"x"

    def test_it_is_told_that_its_host_works_also_while_calls_take_all_threads(
        self, shared, replica
    ):
        with ThreadPoolExecutor(20) as pool:
            slow = [pool.submit(shared.call, replica, "wait", b"5") for _ in range(8)]
            assert [one.result() for one in slow] == [b"waited"] * 8  # longer than the fence
        assert int(shared.call(replica, "beats_of")) >= 3


class TestEnds:
    def test_one_that_is_killed_from_outside_is_gone_at_once(self, shared, replica):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(shared.call, replica, "wait", b"15")
            time.sleep(0.3)
            os.kill(replica.pid, signal.SIGKILL)
            with pytest.raises(GoneError, match=r"orders is gone: its process has ended"):
                waiting.result(10.0)
        with pytest.raises(GoneError):
            shared.call(replica, "echo")
        assert shared.lost == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_to_the_driver_ends_nothing_for_its_host_says_when(
        self, shared, replica, number
    ):
        os.kill(shared.host.pid, number)
        assert shared.call(replica, "wait", b"3") == b"waited"
        assert shared.lost == []

    def test_one_that_is_ended_is_gone(self, shared):
        made = shared.spawn("orders")
        shared.kill(made)
        assert until(lambda: not _lives(made.pid), 5.0)
        with pytest.raises(GoneError, match=r"its process was ended"):
            shared.call(made, "echo")
        shared.kill(made)

    def test_one_that_cannot_be_made_says_why(self, rig, opened):
        opened.append(Opened(RayHost(rig.address, replica="tests.ray.stand_in:Broken")))
        with pytest.raises(GoneError, match=r"orders cannot be made on .*: no orders today"):
            opened[0].spawn("orders")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestRoom:
    def test_one_without_room_says_what_it_waits_for_and_comes_with_the_room(self, shared):
        shared.waits.clear()
        first = shared.spawn("large", Wants(num_cpus=4))
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(shared.spawn, "small")
            assert until(lambda: shared.waits, 15.0)
            assert shared.waits == ["needs 1 CPU, the cluster has 0 of 4 free"]
            shared.kill(first)
            made = second.result(30.0)
        assert shared.waits[-1] == ""
        shared.kill(made)

    def test_of_those_that_are_made_at_once_only_who_has_no_room_is_told_of(self, shared):
        shared.waits.clear()
        with ThreadPoolExecutor(3) as pool:
            tries = [pool.submit(shared.spawn, f"r{n}", Wants(num_cpus=2)) for n in range(3)]
            assert until(lambda: shared.waits, 30.0)
            ready = [one for one in tries if one.done()]
            assert len(ready) == 2
            assert shared.waits == ["needs 2 CPUs, the cluster has 0 of 4 free"]
            shared.kill(ready[0].result())
            made = [one.result(30.0) for one in tries]
        for one in made:
            shared.kill(one)
        assert shared.waits[1:] == [""]

    def test_what_no_machine_has_is_told(self, shared):
        shared.waits.clear()
        with pytest.raises(TimeoutError):
            shared.spawn("model", Wants(num_gpus=1), 5.5)
        assert shared.waits == ["needs 1 GPU, no machine of the cluster has more than 0"]

    def test_one_that_nobody_waits_for_any_more_takes_no_room(self, shared):
        with pytest.raises(TimeoutError):
            shared.spawn("large", Wants(num_cpus=5), 2.0)

        def free() -> float:
            (machine,) = loop_thread().run(shared.host.machines())
            return machine.free["CPU"]

        assert until(lambda: free() == 4.0, 15.0)


class TestMachines:
    def test_a_machine_that_is_lost_takes_its_replicas_and_no_others(self, rig, shared):
        rig.ask("add", "second", 2)
        far = None
        try:
            made = [shared.spawn(f"r{number}") for number in range(4)]
            far = next(one for one in made if one.node)
            near = next(one for one in made if not one.node)
            here = [shared.spawn("here", Wants(here=True)) for _ in range(2)]
            assert [one.node for one in here] == ["", ""]
        finally:
            rig.ask("remove", "second")
        assert _gone(shared, far)
        assert shared.call(near, "echo", b"x") == b"x"
        for one in (*made, *here):
            shared.kill(one)
        assert shared.lost == []

    def test_a_machine_with_another_version_is_named(self, rig, shared, tmp_path):
        told = tmp_path / "buildflow_nb-9.9.9.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: buildflow-nb\nVersion: 9.9.9\n"
        )
        rig.ask("add", "other", 6, str(tmp_path))
        try:
            with pytest.raises(GoneError, match=r"buildflow_nb is 9.9.9 on .+, and .+ here"):
                shared.spawn("orders", Wants(num_cpus=6))
        finally:
            rig.ask("remove", "other")


def _gone(shared, hosted):
    ends = time.monotonic() + 40.0
    while time.monotonic() < ends:
        try:
            shared.call(hosted, "echo", b"x", 5.0)
        except GoneError:
            return True
        except TimeoutError:
            continue
        time.sleep(0.2)
    return False


class TestAddresses:
    def test_where_nobody_listens_is_told_at_once(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            begun = time.monotonic()
            with pytest.raises(RunError, match=f"no Ray at {address}: nothing listens there; give"):
                asyncio.run(RayHost(address).open(print))
            assert time.monotonic() - begun < 4.0

    def test_where_something_else_listens_is_told(self):
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async def ask() -> None:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with server:
                await RayHost(f"127.0.0.1:{port}").open(print)

        with pytest.raises(RunError, match=r"there is no Ray at .*: what listens there is none"):
            asyncio.run(ask())

    def test_auto_is_the_cluster_of_this_machine(self, rig, opened, monkeypatch):
        monkeypatch.setenv("RAY_TMPDIR", str(rig.folder))  # where that one says that it is there
        opened.append(one := Opened(RayHost("auto", replica=STAND_IN)))
        machines = loop_thread().run(one.host.machines())  # tests before may have left some
        assert [machine.total["CPU"] for machine in machines if machine.here] == [4.0]

    def test_a_host_that_is_closed_makes_nothing(self, rig):
        host = RayHost(rig.address, replica=STAND_IN)
        with pytest.raises(GoneError, match=r"the host is closed"):
            asyncio.run(host.spawn("a", Wants(), print))
        asyncio.run(host.close())
