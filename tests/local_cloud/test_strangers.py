"""A stranger who takes a port before an emulator listens there gets no request of ours."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack

import boto3
import psutil
import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud import child, supervisor
from buildflow_nb.local_cloud.child import Child, Command, PortTakenError
from buildflow_nb.local_cloud.folder import FolderLock, make_folder
from buildflow_nb.local_cloud.lease import take_lease
from buildflow_nb.local_cloud.listener import Listener, listener
from buildflow_nb.local_cloud.ports import HOST, SHARED, Ports, is_taken
from buildflow_nb.local_cloud.record import read_record
from buildflow_nb.local_cloud.supervisor import Supervisor

DEADLINE_S = 40.0
NAMES = ("first", "second")
SERVER = """
    import socket, sys
    held = []
    for port in sys.argv[1:]:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", int(port)))
        made.listen()
        held.append(made)
    sys.stdin.read() if "-" in sys.argv else __import__("signal").pause()
"""
SLEEPER = "import signal; signal.pause()"


class Strangers:
    """Whoever binds ports of ours; remembers nothing, answers nobody, and can be asked."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.sockets: dict[int, socket.socket] = {}

    def take(self, port: int) -> None:
        made = socket.socket()
        self._stack.callback(made.close)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen(100)
        made.setblocking(False)
        self.sockets[port] = made

    def heard(self) -> bytes:
        """All that was said to them."""
        said = b""
        for made in self.sockets.values():
            while True:
                try:
                    connection, _ = made.accept()
                except BlockingIOError:
                    break
                with connection:
                    connection.settimeout(1.0)
                    try:
                        said += connection.recv(1000)
                    except TimeoutError:
                        continue
        return said

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def strangers():
    made = Strangers()
    yield made
    made.close()


def python(code: str, *words: object) -> list[str]:
    return [sys.executable, "-S", "-c", textwrap.dedent(code), *map(str, words)]


def free() -> int:
    with socket.create_server((HOST, 0)) as made:
        return made.getsockname()[1]


def started(tmp_path, words, *ports) -> None:
    made = Child(Command("server", words, ports), tmp_path, lambda: None)

    async def run():
        try:
            await made.start()
        finally:
            await made.stop()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_S))


@pytest.mark.parametrize("code", [SERVER, SLEEPER, "raise SystemExit(1)"])
def test_what_a_stranger_answers_does_not_make_a_child_ready(tmp_path, strangers, code):
    ports = free(), free()
    strangers.take(ports[1])
    with pytest.raises(PortTakenError, match=f"port {ports[1]} of .* taken by another") as caught:
        started(tmp_path, python(code, *ports), *ports)
    assert caught.value.ports == (ports[1],)
    assert strangers.heard() == b""


def test_a_port_that_is_bound_by_a_stranger_who_does_not_listen_yet(tmp_path):
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        port = bound.getsockname()[1]
        with pytest.raises(PortTakenError):
            started(tmp_path, python(SERVER, port), port)


def test_a_child_that_listens_is_ready_and_one_that_ends_is_told(tmp_path):
    ports = free(), free()
    started(tmp_path, python(SERVER, *ports), *ports)
    with pytest.raises(InfraError, match=r"server ended at once; its log: \S+server\.log"):
        started(tmp_path, python("raise SystemExit(1)"), free())


def test_of_several_ports_all_have_to_be_ours():
    mine, theirs = free(), free()
    with socket.create_server((HOST, mine)):
        own = psutil.Process().pid
        assert asyncio.run(listener(own, (mine,))) is Listener.OURS
        assert asyncio.run(listener(own, (mine, theirs))) is Listener.NOBODY
        other = subprocess.Popen(python(SLEEPER))
        try:
            assert asyncio.run(listener(other.pid, (mine,))) is Listener.STRANGER
        finally:
            other.kill()
            other.wait()


@pytest.mark.skipif(not SHARED, reason="other systems do not share addresses")
def test_ports_are_kept_from_those_who_ask_for_any(tmp_path):
    ports = Ports(tmp_path)
    chosen = ports.choose(NAMES)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, chosen["first"]))
    assert not is_taken(chosen["first"]), "an emulator shares it"
    assert Ports(tmp_path)._read() == chosen
    ports.let_go()
    with socket.socket() as other:
        other.bind((HOST, chosen["first"]))


def test_the_same_ports_are_chosen_again_but_for_those_that_are_taken(tmp_path, strangers):
    ports = Ports(tmp_path)
    chosen = ports.choose(NAMES)
    ports.let_go()
    again = ports.choose(NAMES, but={chosen["second"]})
    assert again["first"] == chosen["first"]
    assert again["second"] != chosen["second"]
    ports.let_go()
    strangers.take(chosen["first"])
    assert ports.choose(NAMES)["first"] != chosen["first"]
    ports.let_go()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"first": "x"}', '{"first": 1e400}', '{"first": -5}', '{"first": 70000}',
     '{"first": ' + "9" * 5000 + "}", "[" * 100_000, '{"first": true}', "\ud800", "null"],
)  # fmt: skip
def test_damaged_memories_of_ports_count_as_none(tmp_path, text):
    (tmp_path / "ports.json").write_bytes(text.encode(errors="surrogatepass"))
    ports = Ports(tmp_path)
    assert set(ports.choose(NAMES)) == set(NAMES)
    ports.let_go()


class Run:
    """A supervisor in this process, with children of ours in place of emulators."""

    def __init__(self, project) -> None:
        self.folder = make_folder(project)
        self.lock = FolderLock(self.folder)
        assert self.lock.take()
        take_lease(self.folder)
        self.supervisor = Supervisor(self.folder, self.lock)
        self.task: asyncio.Task[None]

    async def __aenter__(self):
        self.task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *_):
        self.supervisor._end()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.task
        finally:
            self.lock._file.close()

    async def record(self, *, other_than=None):
        deadline = time.monotonic() + DEADLINE_S
        while (found := read_record(self.folder)) is None or found == other_than:
            assert time.monotonic() < deadline, "no record"
            assert not self.task.done(), self.task.exception()
            await asyncio.sleep(0.02)
        return found

    def child(self, name):
        return next(c for c in self.supervisor._children if c.command.name == name)


@pytest.fixture
def small(monkeypatch):
    """Two small servers, and no provider."""
    monkeypatch.setattr(supervisor, "PORTS", NAMES)
    monkeypatch.setattr(
        supervisor, "endpoints", lambda ports: {n: str(p) for n, p in ports.items()}
    )
    monkeypatch.setattr(
        supervisor,
        "commands",
        lambda _, ports: [Command(n, python(SERVER, ports[n]), (ports[n],)) for n in NAMES],
    )
    monkeypatch.setattr(supervisor, "store_endpoints", lambda _: {})
    monkeypatch.setattr(supervisor.ProviderServers, "start", lambda _: {"aws": 1})


def taking(monkeypatch, strangers, name, times=1):
    """Have a stranger take a port as soon as it was chosen, before anything is started."""
    choose = Ports.choose

    def then_taken(ports, names, but=()):
        chosen = choose(ports, names, but)
        if len(strangers.sockets) < times:
            strangers.take(chosen[name])
        return chosen

    monkeypatch.setattr(Ports, "choose", then_taken)


@pytest.mark.parametrize("name", NAMES)
def test_the_cloud_moves_to_other_ports(tmp_path, monkeypatch, strangers, small, name):
    taking(monkeypatch, strangers, name, times=2)

    async def run():
        async with Run(tmp_path) as cloud:
            record = await cloud.record()
            assert not set(map(int, record.endpoints.values())) & set(strangers.sockets)
            for each in NAMES:
                port = int(record.endpoints[each])
                assert await listener(cloud.child(each).process.pid, (port,)) is Listener.OURS

    asyncio.run(run())
    assert strangers.heard() == b""


def test_a_port_that_is_taken_while_an_emulator_is_started_again(
    tmp_path, monkeypatch, strangers, small
):
    monkeypatch.setattr(child, "AGAIN_S", (0.3,))

    async def run():
        async with Run(tmp_path) as cloud:
            before = await cloud.record()
            victim = psutil.Process(cloud.child("second").process.pid)
            victim.kill()
            deadline = time.monotonic() + DEADLINE_S
            while not strangers.sockets:
                assert time.monotonic() < deadline
                try:
                    strangers.take(int(before.endpoints["second"]))
                except OSError:
                    await asyncio.sleep(0)
            after = await cloud.record(other_than=before)
            assert after.endpoints["second"] != before.endpoints["second"]
            assert after.endpoints["first"] == before.endpoints["first"]

    asyncio.run(run())
    assert strangers.heard() == b""


def test_a_cloud_whose_ports_are_always_taken_says_so(tmp_path, monkeypatch, strangers, small):
    taking(monkeypatch, strangers, "first", times=100)
    cloud = Run(tmp_path)
    with pytest.raises(InfraError, match=r"take the local cloud's ports again and again: \d+"):
        asyncio.run(asyncio.wait_for(cloud.supervisor.run(), DEADLINE_S))
    cloud.lock._file.close()


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["aws", "pubsub", "storage", "storage-emulator"])
def test_real_emulators_move_too(tmp_path, monkeypatch, strangers, name):
    taking(monkeypatch, strangers, name)

    async def run():
        async with Run(tmp_path) as cloud:
            record = await cloud.record()
            ports = {int(url.rpartition(":")[2]) for url in record.endpoints.values()}
            assert not ports & set(strangers.sockets)
            await asyncio.to_thread(asked, record)

    asyncio.run(run())
    assert strangers.heard() == b""


def asked(record) -> None:
    client = boto3.client(
        "sqs",
        endpoint_url=record.endpoints["sqs"],
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="local",  # noqa: S106  (the emulator takes anything)
    )
    client.create_queue(QueueName="ours")
    client.close()
