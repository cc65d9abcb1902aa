"""What the history of a run costs: a second of 500 processors, their memory, and a busy consumer.

The last row compares the consumer from memory to memory with a recorder that looks each second,
and without one, in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from buildflow_nb.core.status.history import Rows
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.history import HistoryRecorder
from buildflow_nb.runtime.observability.history_keeper import HistoryKeeper
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted
from tests.benchmarks.measure import interleave, ratio
from tests.benchmarks.memory import NS, ours

PROCESSORS = 500
DAY_S = 86_400
BATCH, ELEMENTS, ROUNDS = 1_000, 2_000_000, 21
IN_A_MILLION = 1e6


class Hands:
    """A clock that the benchmark turns."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def now(self) -> float:
        """The same as `time`."""
        return self.at

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Nobody does."""


class Unit:
    """A processor that handles a few elements a second, each with a latency of its own."""

    def __init__(self, number: int, clock: Hands) -> None:
        self.number = number
        self.ledger = Ledger(f"processor_{number}", clock)
        self.ledger.state = State.RUNNING

    def work(self, second: int) -> None:
        """Count what one second brings."""
        metrics, now = self.ledger.metrics, float(second)
        metrics.taken.total += 100 + second * self.number % 17
        metrics.given.total += 100 + second * self.number % 13
        for spread in range(8):
            metrics.latency.add(0.001 * (1 + spread + (second + self.number) % 5), 12, now)

    def counted(self) -> Counted:
        """What it has counted."""
        return self.ledger.metrics.counted(self.number)


def look_ms() -> tuple[float, float, float]:
    """Milliseconds of a look at 500 busy, and at 500 idle processors; and of the worst look."""
    clock = Hands()
    units = {f"processor_{n}": Unit(n, clock) for n in range(PROCESSORS)}
    recorder = HistoryRecorder(lambda: units, clock)
    busy: list[float] = []
    idle: list[float] = []
    for second in range(4_000):
        if second % 2:
            for unit in units.values():
                unit.work(second)
        clock.at += 1.0
        began = time.thread_time()  # others' work on the machine is not the look's
        recorder.look()
        (busy if second % 2 else idle).append((time.thread_time() - began) * 1e3)
    worst = statistics.quantiles([*busy, *idle], n=1_000)[-1]
    return statistics.median(busy), statistics.median(idle), worst


def day_bytes(*, busy: bool) -> tuple[float, int]:
    """Bytes in memory that one processor takes after a day, and rows of it."""
    clock = Hands()
    units = {"processor_7": Unit(7, clock)}
    recorder = HistoryRecorder(lambda: units, clock)
    tracemalloc.start()
    for second in range(DAY_S):
        if busy:
            units["processor_7"].work(second)
        clock.at += 1.0
        recorder.look()
        if second % 30 == 0:
            recorder.unsaved()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = recorder.view("processor_7").history(Rows(), (), clock.at)
    return taken, len(found.rows())


@contextmanager
def without_history() -> Iterator[None]:
    """Let no recorder look."""
    begin = HistoryKeeper.begin
    HistoryKeeper.begin = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        HistoryKeeper.begin = begin  # type: ignore[method-assign]


def cpu_ns() -> float:
    """Nanoseconds of processor time an element, which others' work hardly changes."""
    began = time.process_time()
    ours(BATCH, ELEMENTS)
    return (time.process_time() - began) / ELEMENTS * NS


def bare() -> float:
    """The same without a recorder."""
    with without_history():
        return cpu_ns()


def main() -> None:
    """Print the figures."""
    out = sys.stdout.write
    busy, idle, worst = look_ms()
    out(f"\na look at {PROCESSORS} processors, goal at most 5 ms\n")
    out(f"  busy {busy:.2f} ms, idle {idle:.2f} ms, one in a thousand looks {worst:.2f} ms\n")
    for name, is_busy in (("busy", True), ("idle", False)):
        taken, rows = day_bytes(busy=is_busy)
        million = taken * PROCESSORS / IN_A_MILLION
        out(f"  a day of a processor, {name}: {taken:,.0f} B in memory for {rows:,} rows; ")
        out(f"{PROCESSORS}: {million:,.0f} MB\n")
    sides = {"with history": cpu_ns, "without": bare}
    figures = interleave(sides, ROUNDS)
    times = ratio(figures["with history"], figures["without"])
    out("a consumer from memory to memory, batches of 1,000, processor time an element\n")
    for name, found in figures.items():
        out(f"  {name:<14} {statistics.median(found):>8,.0f} ns\n")
    out(f"  ratio {times:.3f}   goal at most 1.01\n")


if __name__ == "__main__":
    main()
