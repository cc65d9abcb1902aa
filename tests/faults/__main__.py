"""`make faults`: everything is killed, filled, frozen, slowed, poisoned; every element is counted.

Prints a line for each scenario and a table at the end; exits with 1 if anything was lost, repeated
where it must not be, or hung. The seed is printed: the same seed does the same again, as far as
processes can.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.faults.collectors import collector_killed
from tests.faults.consumers import Kills, killed, scenarios
from tests.faults.disks import full
from tests.faults.ground import Ground
from tests.faults.messages import poisoned, short_leases
from tests.faults.networks import WEATHERS, frozen, through
from tests.faults.operations import VICTIMS, operations_killed
from tests.faults.parsers import PARSERS, fuzzed
from tests.faults.stores import SINKS
from tests.faults.strangers import strangers
from tests.faults.tally import Tally, table

MINUTES = 20.0
Scenario = tuple[str, Callable[[], Tally]]


def _all(ground: Ground) -> Iterator[Scenario]:
    """Every scenario by name."""
    for feed, sink in scenarios(ground.rng):
        yield f"kill {feed}", partial(killed, feed, sink, ground, Kills())
    for sink in SINKS:
        each = 40 if sink == "parquet" else 300  # it waits half a second for a fuller part
        yield f"collector {sink}", partial(collector_killed, sink, ground, 6, each)
    for sink in SINKS:
        yield f"disk {sink}", partial(full, sink, 60_000, ground)
    for feed in ("sqs", "pubsub"):
        for weather in WEATHERS:
            size = 40 if weather == "slow" else 2_000
            yield f"network {feed}", partial(through, feed, weather, size, ground)
        yield f"frozen {feed}", partial(frozen, feed, 3_000, ground)
    for sink in ("duckdb", "parquet"):
        yield f"leases {sink}", partial(short_leases, sink, 6_000, 3, ground)
    for feed in ("jsonl", "sqs", "pubsub"):
        yield f"poison {feed}", partial(poisoned, feed, 2_000, ground)
    yield "strangers", partial(strangers, 20_000, ground)
    for name in PARSERS:
        yield f"parser {name}", partial(fuzzed, name, 5_000, ground.rng, ground.folder("parsers"))
    for victim in VICTIMS:
        yield f"operations {victim}", partial(operations_killed, victim, 3, ground)


def main() -> int:
    """Run those that are asked for; the exit code."""
    words = argparse.ArgumentParser(prog="python -m tests.faults")
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    words.add_argument("--minutes", type=float, default=MINUTES, help="begin nothing after so many")
    words.add_argument("scenarios", nargs="*", help="beginnings of names; all by default")
    told = words.parse_args()
    print(f"seed {told.seed}", flush=True)
    deadline = time.monotonic() + 60 * told.minutes
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="buildflow-faults-") as folder:
        project = Path(folder)
        try:
            endpoints = start_cloud(project).endpoints
            for name, run in _all(Ground(project, random.Random(told.seed), endpoints)):
                if told.scenarios and not name.startswith(tuple(told.scenarios)):
                    continue
                if time.monotonic() > deadline:
                    print(f"{name}: not begun, the time is up", flush=True)
                    continue
                began = time.monotonic()
                tallies.append(replace(run(), seconds=time.monotonic() - began))
                print(f"{tallies[-1].scenario}: {tallies[-1].verdict}", flush=True)
        finally:
            stop_cloud(project)
    print(table(tallies))
    return int(any(tally.verdict != "ok" for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
