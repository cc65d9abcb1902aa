"""What replicas on Ray cost, and bring: the same processors in this process and in actors.

`python -m tests.benchmarks.replicas [ROUNDS] [SECONDS]`. Sides take turns in one run: a consumer
that does nothing (what the way to a replica costs), one that computes with two replicas (what it
brings: threads share one core), requests to a front, and how long new code takes to work in all
replicas.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from urllib.request import urlopen

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Batch, Env, Wire
from buildflow_nb.runtime.handle import RunHandle
from tests.benchmarks.http import CONNECTIONS, CORES, load, pin, wait_for
from tests.benchmarks.http_servers import HOST
from tests.benchmarks.http_shapes import Order, Priced, price
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.memory import Memory

VERSION = 0
LOOPS = 40_000  # about 2 ms of Python


@dataclass(frozen=True)
class Endless:
    """Numbers without end, which any number of processes may take."""

    batch: int
    primitive_id: str = "endless"
    shared: ClassVar[bool] = True
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_Endless]:
        yield _Endless(self.batch)


class _Endless:
    def __init__(self, batch: int) -> None:
        self._items = list(range(batch))

    async def pull(self) -> Batch:
        return Batch(self._items, receipts=self._items)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        pass

    async def backlog(self) -> int | None:
        return None


@dataclass(frozen=True)
class Nowhere(Memory):
    """Keeps nothing."""

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[_Nowhere]:
        yield _Nowhere()


class _Nowhere:
    async def push(self, items: Sequence[object]) -> None:
        pass


def nothing(x: int) -> int:
    return 2 * x


def computing(version: int) -> Callable[[int], int]:
    def compute(x: int) -> int:
        total = x + version
        for step in range(LOOPS):
            total += step & 7
        return total

    return compute


def declared(name: str) -> Flow:
    """A flow with both consumers and an endpoint."""
    app = Flow(flow_id=f"bench-{name}")

    async def priced(order: Order) -> Priced:
        return price(order)

    async def whoami() -> dict[str, int]:
        return {"pid": os.getpid()}

    app.consumer(source=Endless(1_000), sink=Nowhere(), enable_autoscaler=False)(nothing)
    declare_compute(app, 0)
    app.endpoint("/price", "POST")(priced)
    app.endpoint("/whoami", "GET")(whoami)
    return app


def declare_compute(app: Flow, version: int) -> None:
    options = {"num_replicas": 2, "enable_autoscaler": False}
    app.consumer(source=Endless(10), sink=Nowhere(), **options)(computing(version))


def rate(run: RunHandle, name: str, seconds: float) -> float:
    """Elements a second of a consumer that works alone."""
    run.start(name)
    up(run, name)
    first, began = counted(run, name)
    time.sleep(seconds)
    last, ended = counted(run, name)
    run.stop(name, drain=False)
    return (last - first) / (ended - began)


def up(run: RunHandle, name: str) -> None:
    """Wait until all its replicas work."""
    while not number(run, name) or (shot := run.snapshot().processor(name)).replicas < shot.wanted:
        time.sleep(0.02)


def counted(run: RunHandle, name: str) -> tuple[int, float]:
    """How many it has taken, at the moment when that is new."""
    before = number(run, name)
    while (now := number(run, name)) == before:
        time.sleep(0.005)
    return now, time.perf_counter()


def number(run: RunHandle, name: str) -> int:
    return run.snapshot().processor(name).elements_in


def front(address: str, seconds: float) -> float:
    """Requests a second that the front at an address answers, on a core of its own."""
    with urlopen(f"{address}/whoami") as answer:  # noqa: S310  (our own, on loopback)
        pid = json.load(answer)["pid"]
    pin(pid, 0)
    pin(0, 1)
    try:
        port = int(address.rpartition(":")[2])
        return asyncio.run(load(pid, port, seconds, CONNECTIONS)).rate
    finally:
        os.sched_setaffinity(0, CORES)
        os.sched_setaffinity(pid, CORES)


@contextmanager
def in_process() -> Iterator[str]:
    """The address of the endpoints in a process of their own, without replicas or consumers."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", __spec__.name, "serve", str(port)])
    try:
        wait_for(port)
        yield f"http://{HOST}:{port}"
    finally:
        server.kill()
        server.wait()


def swap_ms(app: Flow) -> float:
    """Milliseconds until new code works in all replicas."""
    global VERSION  # noqa: PLW0603
    VERSION += 1
    began = time.perf_counter()
    declare_compute(app, VERSION)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    here, there = declared("process"), declared("ray")
    began = time.perf_counter()
    runs = {
        "on Ray": there.run(block=False, engine="ray", serve_port=0),
        "in process": here.run(block=False, serve_port=0),
    }
    print(f"both run after {time.perf_counter() - began:.1f} s")  # noqa: T201
    try:
        for run in runs.values():
            run.stop(["nothing", "compute"], drain=False)
        for name, title, goal in (
            ("nothing", "a consumer that does nothing, one replica", "at least 0.95"),
            ("compute", "2 ms of Python, two replicas", "at least 1.8 on two cores"),
        ):
            sides = {side: partial(rate, run, name, seconds) for side, run in runs.items()}
            table(title, interleave(sides, rounds), "elements/s", {"in process": goal})
        with in_process() as address:
            fronts = {"on Ray": runs["on Ray"].address, "in process": address}
            sides = {side: partial(front, where, seconds) for side, where in fronts.items()}
            figures = interleave(sides, rounds)
        table("one front", figures, "requests/s", {"in process": "at least 0.9"})
        for side, app in (("on Ray", there), ("in process", here)):
            runs[side].start("compute")
            up(runs[side], "compute")
            times = [swap_ms(app) for _ in range(20)]
            print(f"  a swap {side}: {statistics.median(times):.0f} ms, goal below 500")  # noqa: T201
    finally:
        for run in runs.values():
            run.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve = declared("alone")
        for name in ("nothing", "compute"):
            serve.remove(name)
        serve.run(block=True, serve_host=HOST, serve_port=int(sys.argv[2]))
    else:
        main()
