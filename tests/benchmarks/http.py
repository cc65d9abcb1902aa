"""Requests per second of an endpoint, ours beside others, on asyncio's loop and on uvloop.

`python -m tests.benchmarks.http [ROUNDS] [SECONDS]`. One server at a time on one core, the load
from this process on another; rounds are interleaved, so that a slow moment of the machine hits
all of them, and the medians are compared. Only the ratios mean anything elsewhere. Beside the rate
stands the server's processor time for a request, which says more on a machine that others use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import psutil

from tests.benchmarks.http_servers import HOST, ON_UVLOOP, SERVERS
from tests.benchmarks.http_shapes import BODY

CONNECTIONS = 32
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
FAST = ("ours", "aiohttp+msgspec", "blacksheep")  # measured on uvloop, too
WARM_UP_S = 0.5
REQUEST = (
    b"POST /price HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
TEXT = b"an order of three, to be priced"
SAID = bytes([0x81, 0x80 + len(TEXT), 0, 0, 0, 0]) + TEXT  # masked with zeros
HEARD = bytes([0x81, len(TEXT)]) + TEXT


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, taken: list[float], errors: list[bytes]) -> None:
        self.taken, self.errors = taken, errors
        self.buffer = b""
        self.asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        if len(body) < int(lower[at:].split(b"\r\n", 1)[0]):
            return
        if not head.startswith(b"HTTP/1.1 200") or b'"total":59.97' not in body:
            self.errors.append(self.buffer)
        self.taken.append(time.perf_counter() - self.asked)
        self.buffer = b""
        self.ask()


class SocketClient(Client):
    """One WebSocket whose message is sent again as soon as it has come back."""

    open = False

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(SAID if self.open else HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) < len(HEARD) or (not self.open and b"\r\n\r\n" not in self.buffer):
            return
        expected = HEARD if self.open else b"HTTP/1.1 101 "
        if not self.buffer.startswith(expected):
            self.errors.append(self.buffer)
        if self.open:
            self.taken.append(time.perf_counter() - self.asked)
        self.open, self.buffer = True, b""
        self.ask()


class Figures(NamedTuple):
    """Requests a second, milliseconds that they took, and the server's time for one."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


async def load(
    pid: int, port: int, seconds: float, connections: int, client: type[Client] = Client
) -> Figures:
    taken: list[float] = []
    errors: list[bytes] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: client(taken, errors), HOST, port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_S)
    taken.clear()
    began, used = time.perf_counter(), cpu_s(pid)
    await asyncio.sleep(seconds)
    count, spent, used = len(taken), time.perf_counter() - began, cpu_s(pid) - used
    for transport, _ in made:
        transport.abort()
    if errors:
        msg = f"a wrong answer: {errors[0][:500]!r}"
        raise SystemExit(msg)
    hundredths = statistics.quantiles(taken, n=100)
    return Figures(
        count / spent, hundredths[49] * 1000, hundredths[98] * 1000, used / count * 1_000_000
    )


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def measure(name: str, seconds: float, connections: int) -> Figures:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.benchmarks.http_servers", name, str(port)]
    server = subprocess.Popen(command)
    try:
        pin(server.pid, 0)
        pin(0, 1)  # ourselves
        wait_for(port)
        client = SocketClient if "WebSocket" in name else Client
        return asyncio.run(load(server.pid, port, seconds, connections, client))
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and len(CORES) > 1:
        os.sched_setaffinity(pid, {CORES[core]})


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    msg = "the server did not start"
    raise SystemExit(msg)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    many = rounds_of(list(SERVERS) + [name + ON_UVLOOP for name in FAST], rounds, seconds)
    for name, figures in many.items():
        found = Figures(*(statistics.median(column) for column in zip(*figures, strict=True)))
        print(  # noqa: T201
            f"{name:24} {found.rate:9,.0f} req/s   p99 {found.p99_ms:6.1f} ms   "
            f"{found.cpu_us:5.1f} us of processor time"
        )
    for mine, other, goal in (
        ("ours", "aiohttp+msgspec", 1.0),
        ("ours", "fastapi", 1.5),
        ("ours sync", "fastapi sync", 1.5),
        ("ours, dependency", "ours", 0.97),
        ("ours+uvloop", "blacksheep+uvloop", 1.0),
        ("ours, surrounded", "fastapi, surrounded", 3.0),  # by a function, and with a dependency
        ("ours, WebSocket", "aiohttp, WebSocket", 0.9),
    ):
        found = ratio(many[mine], many[other], "rate")
        say(f"{mine} / {other}, req/s", found, f"at least {goal}")
    one = rounds_of(["ours", "aiohttp+msgspec"], rounds, seconds, 1)
    found = ratio(one["ours"], one["aiohttp+msgspec"], "p50_ms")
    say("ours / aiohttp+msgspec, p50 at 1 connection", found, "at most 1.2")


def rounds_of(
    names: list[str], rounds: int, seconds: float, connections: int = CONNECTIONS
) -> dict[str, list[Figures]]:
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(measure(name, seconds, connections))
    return found


def ratio(mine: list[Figures], other: list[Figures], column: str) -> float:
    return statistics.median(
        getattr(a, column) / getattr(b, column) for a, b in zip(mine, other, strict=True)
    )


def say(what: str, found: float, goal: str) -> None:
    print(f"{what}: {found:.2f} (goal: {goal})")  # noqa: T201


if __name__ == "__main__":
    main()
