"""Stores are started when something wishes for one, and not before."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import threading
import time

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud import client, store, store_keeper, stores, supervisor
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.folder import FolderLock, make_folder
from buildflow_nb.local_cloud.lease import living_leases, take_lease, wish_for, wishes
from buildflow_nb.local_cloud.listener import Listener, listener
from buildflow_nb.local_cloud.record import read_record
from buildflow_nb.local_cloud.steer import steer
from buildflow_nb.local_cloud.store import Store, forget_password, password_of
from buildflow_nb.local_cloud.supervisor import Supervisor
from tests.local_cloud.running import DEADLINE_S
from tests.local_cloud.test_strangers import SERVER, python

FAULTS: list[str] = []  # why the store does not start, as long as it does not
GIVEN: list[str] = []  # the passwords that its server was started with


def start(state, ports, password):
    GIVEN.append(password.reveal())
    if FAULTS:
        raise InfraError(FAULTS[0])
    state.mkdir(exist_ok=True)
    return Command("shelf", python(SERVER, *ports.values()), tuple(ports.values()))


SHELF = Store("shelf", ("shelf", "shelf-storage"), start, extra="buildflow_nb[local-shelf]")


class Run:
    """A supervisor in this process, with one store and nothing else."""

    def __init__(self, project):
        self.project = project
        self.folder = make_folder(project)

    async def __aenter__(self):
        self.lock = FolderLock(self.folder)
        assert self.lock.take()
        take_lease(self.folder)
        self.supervisor = Supervisor(self.folder, self.lock)
        self.task = asyncio.create_task(self.supervisor.run())
        await self.until(lambda: read_record(self.folder) is not None)
        return self

    async def __aexit__(self, *_):
        self.supervisor._end()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.task
        finally:
            self.lock._file.close()

    async def until(self, so):
        deadline = time.monotonic() + DEADLINE_S
        while not so():
            assert time.monotonic() < deadline
            assert not self.task.done(), self.task.exception()
            await asyncio.sleep(0.01)

    @property
    def record(self):
        return read_record(self.folder)


@pytest.fixture
def run(tmp_path, monkeypatch):
    FAULTS.clear()
    GIVEN.clear()
    for module in (stores, store_keeper, client):
        monkeypatch.setattr(module, "STORES", {"shelf": SHELF})
    monkeypatch.setattr("buildflow_nb.local_cloud.steer.STORES", {"shelf": SHELF})
    monkeypatch.setattr(supervisor, "PORTS", ())
    monkeypatch.setattr(supervisor, "endpoints", lambda _: {})
    monkeypatch.setattr(supervisor, "commands", lambda *_: [])
    monkeypatch.setattr(supervisor.ProviderServers, "start", lambda _: {"aws": 1})
    return Run(tmp_path)


def in_loop(coroutine):
    async def within():
        async with asyncio.timeout(3 * DEADLINE_S):
            await coroutine

    asyncio.run(within())


def test_it_has_an_address_before_it_runs_and_is_woken_once(run):
    async def go():
        async with run:
            before = run.record.endpoints
            assert set(before) == {"shelf", "shelf-storage"}
            assert run.record.awake == ()
            assert "sleeps until something needs it" in steer(run.project, "status")
            waking = [asyncio.to_thread(client.wake_store, run.project, "shelf") for _ in range(3)]
            assert set(await asyncio.gather(*waking)) == {before["shelf"]}
            url = await asyncio.to_thread(client.wake_store, run.project, "shelf-storage")
            assert url == before["shelf-storage"]
            assert run.record.awake == ("shelf",)
            assert len(GIVEN) == 1
            told = steer(run.project, "status")
            assert "sleeps" not in told
            assert re.search(r"shelf +http://127.0.0.1:\d+ \(\d+ MiB\)", told)

    in_loop(go())


def test_a_supervisor_that_comes_after_starts_it_again(run):
    async def go():
        async with run:
            await asyncio.to_thread(client.wake_store, run.project, "shelf")
            before = run.record.endpoints
        async with run:
            await run.until(lambda: run.record is not None and run.record.awake == ("shelf",))
            assert run.record.endpoints == before

    in_loop(go())


def test_one_that_a_killed_supervisor_leaves_behind_is_known_to_the_next(run):
    async def go():
        async with run:
            await asyncio.to_thread(client.wake_store, run.project, "shelf")
            (child,) = run.supervisor._stores.children
            noted = json.loads((run.folder / "children.json").read_text())["children"]
            assert [one["pid"] for one in noted] == [child.process.pid]

    in_loop(go())


def test_one_that_falls_over_is_started_again_at_its_ports(run):
    async def go():
        async with run:
            await asyncio.to_thread(client.wake_store, run.project, "shelf")
            (child,) = run.supervisor._stores.children
            first = child.process
            os.kill(first.pid, 9)
            await run.until(lambda: child.process not in (None, first))
            ports = child.command.ports
            while await listener(child.process.pid, ports) is not Listener.OURS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    in_loop(go())


def test_one_that_does_not_start_says_why_and_is_tried_again_when_asked_again(run):
    async def go():
        FAULTS.append("its folder is of another version")
        async with run:
            for _ in range(2):
                with pytest.raises(InfraError, match="shelf did not start: its folder is of anoth"):
                    await asyncio.to_thread(client.wake_store, run.project, "shelf")
            tries = len(GIVEN)
            assert tries == 2
            assert "its folder is of another version" in steer(run.project, "status")
            FAULTS.clear()
            await asyncio.to_thread(client.wake_store, run.project, "shelf")
            assert run.record.awake == ("shelf",)
            assert not run.record.faults

    in_loop(go())


def test_a_provider_wakes_it_from_its_own_thread(run):
    async def go():
        async with run:
            url = await asyncio.to_thread(run.supervisor.wake, "shelf")
            assert url == run.record.endpoints["shelf"]
            assert run.supervisor.password("shelf") == password_of(run.folder, "shelf")
            await run.until(lambda: run.record.awake == ("shelf",))
            with pytest.raises(InfraError, match="no store 'attic'; there are shelf"):
                await asyncio.to_thread(run.supervisor.wake, "attic")
            FAULTS.append("no")
        async with run:
            with pytest.raises(InfraError, match="no"):
                await asyncio.to_thread(run.supervisor.wake, "shelf")

    in_loop(go())


def test_a_missing_extra_is_named_before_anything_starts(run, monkeypatch):
    lacking = Store("shelf", ("shelf",), start, "buildflow_nb[local-shelf]", ("no_such_module",))
    monkeypatch.setattr(stores, "STORES", {"shelf": lacking})

    async def go():
        async with run:
            with pytest.raises(InfraError, match=r"pip install 'buildflow_nb\[local-shelf\]'"):
                await asyncio.to_thread(client.wake_store, run.project, "shelf")
            assert GIVEN == []

    in_loop(go())


def test_a_reset_forgets_what_was_in_it_and_its_password(run):
    async def go():
        async with run:
            await asyncio.to_thread(client.wake_store, run.project, "shelf")

    in_loop(go())
    before = password_of(run.folder, "shelf")
    assert (run.folder / "shelf").is_dir()
    client.reset_cloud(run.project)
    assert not (run.folder / "shelf").exists()
    assert password_of(run.folder, "shelf") != before


def test_a_password_is_made_once_for_its_owner_alone(tmp_path):
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(password_of(tmp_path, "shelf")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    path = tmp_path / "passwords" / "shelf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) >= store.BYTES
    forget_password(tmp_path, "shelf")
    forget_password(tmp_path, "shelf")
    assert password_of(tmp_path, "shelf") not in found


def test_wishes_are_counted_and_end_with_their_process(tmp_path):
    me = os.getpid()
    take_lease(tmp_path)
    assert wishes(tmp_path) == {}
    assert [wish_for(tmp_path, "shelf"), wish_for(tmp_path, "shelf")] == [(me, 1), (me, 2)]
    assert wish_for(tmp_path, "attic") == (me, 1)
    take_lease(tmp_path)
    assert wishes(tmp_path) == {"shelf": {(me, 2)}, "attic": {(me, 1)}}
    lease = tmp_path / "leases" / str(me)
    lease.write_text(lease.read_text().replace('"began": ', '"began": 1'))
    assert wishes(tmp_path) == {}
    assert living_leases(tmp_path) == []
