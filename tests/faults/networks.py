"""Slow, narrow and broken networks, and emulators that stand still for a while."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.faults.child import Orders
from tests.faults.feeds import fill
from tests.faults.ground import Ground
from tests.faults.network import Network, Weather
from tests.faults.process import Child
from tests.faults.stores import found_in
from tests.faults.tally import Tally

__all__ = ("WEATHERS", "emulator_of", "frozen", "through")

SERVICES = {"sqs": "sqs", "pubsub": "pubsub"}
WEATHERS = {
    "slow": Weather(delay_s=0.7),
    "narrow": Weather(bytes_per_s=200_000.0),
    "broken": Weather(cut=0.01),
}
FREEZES, FREEZE_S = 3, 2.0


def through(feed: str, weather: str, elements: int, ground: Ground) -> Tally:
    """A queue behind a bad network: the run says "drained" when it is, and not before."""
    folder, endpoints = ground.folder(f"net-{feed}"), ground.endpoints
    numbers = range(elements)
    fill(feed, folder, numbers, endpoints)
    service = SERVICES[feed]
    with Network(endpoints[service], WEATHERS[weather], ground.rng.randrange(2**32)) as network:
        there = {**endpoints, service: network.url}
        code, said = _run(Orders(str(folder), feed, "jsonl", endpoints=there))
        faults = max(network.cuts, 1)
    wrong = "" if code == 0 else f"ended with {code}: {said.strip()[-200:]}"
    found = found_in("jsonl", folder)
    return Tally.of(f"{feed}, {weather} network", faults, numbers, found, wrong=wrong)


def frozen(feed: str, elements: int, ground: Ground) -> Tally:
    """An emulator that is stopped for seconds and goes on."""
    folder, endpoints = ground.folder(f"frozen-{feed}"), ground.endpoints
    numbers = range(elements)
    fill(feed, folder, numbers, endpoints)
    port = int(endpoints[SERVICES[feed]].rpartition(":")[2])
    over = threading.Event()
    thread = threading.Thread(
        target=_freeze, args=(emulator_of(port), over, ground.rng), daemon=True
    )
    with Child(Orders(str(folder), feed, "jsonl", 0.002, endpoints=dict(endpoints))) as child:
        child.wait_up()
        thread.start()
        try:
            code, said = child.to_its_end()
        finally:
            over.set()
            thread.join()
    wrong = "" if code == 0 else f"ended with {code}: {said.strip()[-200:]}"
    found = found_in("jsonl", folder)
    return Tally.of(f"{feed}, emulator frozen", FREEZES, numbers, found, wrong=wrong)


def emulator_of(port: int) -> int:
    """The process that listens at a port of this machine."""
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
            return one.pid
    msg = f"nobody listens at port {port}"
    raise LookupError(msg)


def _freeze(pid: int, over: threading.Event, rng: random.Random) -> None:
    pause: Callable[[], float] = lambda: rng.uniform(0.2, 1.5)  # noqa: E731
    for _ in range(FREEZES):
        if over.wait(pause()):
            return
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(FREEZE_S)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _run(orders: Orders) -> tuple[int, str]:
    with Child(orders) as child:
        return child.to_its_end()
