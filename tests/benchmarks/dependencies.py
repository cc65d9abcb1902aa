"""What a dependency costs: a consumer in memory with one of each scope, beside one without."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from buildflow_nb import Flow
from buildflow_nb.dependencies import Scope, dependency
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.memory import NS, Memory, Numbers, double

ELEMENTS = 500_000
BATCH = 1_000
ROUNDS = 7


@dependency(Scope.REPLICA)
class Factor:
    """Lives as long as its replica."""

    value = 2


@dependency(Scope.PROCESS)
class Call:
    """Made for each call."""

    value = 2


def by_replica(x: int, factor: Factor) -> int:
    return 2 * x


def by_call(x: int, call: Call) -> int:
    return 2 * x


def run(code: Callable[..., Any]) -> float:
    """Nanoseconds an element, from start to end of the run."""
    flow = Flow()
    flow.consumer(source=Numbers(ELEMENTS, BATCH), sink=Memory())(code)
    gc.collect()
    began = time.perf_counter()
    flow.run(block=False).wait(120)
    return (time.perf_counter() - began) / ELEMENTS * NS


def main() -> None:
    """Print the figures."""
    sides = {
        "with one of scope REPLICA": lambda: run(by_replica),
        "without": lambda: run(double),
        "with one of scope PROCESS": lambda: run(by_call),
    }
    title = f"consumer from memory to memory, batches of {BATCH:,}, time an element"
    table(title, interleave(sides, ROUNDS), "ns", {"without": "at most 1.05"})


if __name__ == "__main__":
    main()
