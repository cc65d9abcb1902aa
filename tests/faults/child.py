"""The program that is killed: one consumer, or one collector, as a process of its own.

It is told what to do in one JSON document, says "up" when it runs, and ends with 0 once its source
is drained (a collector: once its standard input is closed).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan

__all__ = ("Orders",)

POISON: dict[int, type[BaseException]] = {
    0: ValueError,
    1: KeyError,
    2: RecursionError,
    3: SystemExit,
    4: OSError,
}


@dataclass(frozen=True)
class Orders:
    """What a child is told; `endpoints` take the place of the local cloud's own."""

    folder: str
    source: str
    sink: str
    slow_s: float = 0.0
    port: int = 0
    poison_every: int = 0
    most_bytes: int = 0
    timeout_s: float = 120.0
    endpoints: dict[str, str] = field(default_factory=dict)


@dataclass
class Number:
    """An element."""

    n: int


class UntellableError(Exception):
    """It cannot even be told."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def _judged(n: int, orders: Orders) -> Number:
    if orders.slow_s:
        time.sleep(orders.slow_s)
    if orders.poison_every and n % orders.poison_every == 0:
        raise POISON.get(n // orders.poison_every % 6, UntellableError)
    return Number(n)


def _declare(flow: Flow, orders: Orders) -> None:
    from buildflow_nb.io.local import File
    from buildflow_nb.types.local import LocalFileChangeEvent
    from tests.faults.feeds import source_of
    from tests.faults.stores import sink_of

    folder = Path(orders.folder)
    sink = sink_of(orders.sink, folder)
    if orders.source == "http":

        @flow.collector("/take", method="POST", sink=sink)
        def take(number: Number) -> Number:
            return _judged(number.n, orders)

        return
    more: dict[str, Any] = {"source": source_of(orders.source, folder), "sink": sink}
    if orders.poison_every:
        more |= {"dead_letter": File(folder / "dead.jsonl"), "retries": 0}
    if orders.source == "files":

        @flow.consumer(**more)
        def work(event: LocalFileChangeEvent) -> Number:
            return _judged(int(Path(event.file_path).stem), orders)

        return

    @flow.consumer(**more)
    def work(number: Number) -> Number:
        return _judged(number.n, orders)


def main() -> None:
    """Do as told."""
    orders = Orders(**json.loads(sys.argv[1]))
    os.chdir(orders.folder)
    flow = Flow("faults")
    _declare(flow, orders)
    env: Env = flow.place.env()
    if orders.endpoints:
        env = replace(env, endpoints=orders.endpoints)
    if orders.most_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (orders.most_bytes, resource.RLIM_INFINITY))
    handle = RunHandle(RunPlan("faults", env, port=orders.port), flow.registry)
    handle.begin()
    print("up", handle.address, flush=True)
    if orders.source == "http":
        sys.stdin.read()
    else:
        handle.wait_until(drained=True, timeout=orders.timeout_s)
    handle.stop()


if __name__ == "__main__":
    main()
