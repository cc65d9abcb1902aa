"""What it costs that processors print and log: a line, a pipeline that floods, and its neighbour.

All sides take turns in one run, and what counts is the ratio. A line that goes to the ring of its
processor is set beside a `print` to a null stream, which keeps nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Batch, Env, Wire
from buildflow_nb.runtime.observability.logs import LogRing, captured, current
from tests.benchmarks.measure import interleave, table

LINES = 50_000
ELEMENTS = 100_000  # through a pipeline; with one line each, as many lines
RATE = 100_000  # lines a second of a flood
ROUNDS = 7
SECONDS = 1.0
NULL = open(os.devnull, "w")  # noqa: SIM115, PTH123
WORDS = "element 12345 was priced at 67.89"


@dataclass(eq=False)
class Numbers:
    """A source of `count` numbers at most, at `rate` a second."""

    count: int | None
    rate: float | None = None
    primitive_id: str = "numbers"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1
    began: float = field(default_factory=time.monotonic)

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[Numbers]:
        self.left, self.given = self.count, 0
        self.began = time.monotonic()
        yield self

    async def pull(self) -> Batch | None:
        if self.left == 0:
            return None
        if self.rate is None:
            size = min(1_000, self.left or 1_000)
        else:
            await asyncio.sleep(0.005)
            size = int((time.monotonic() - self.began) * self.rate) - self.given
        if self.left is not None:
            self.left -= size
        self.given += size
        return Batch(range(size))

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        pass

    async def backlog(self) -> int | None:
        return None


def to_null(line: str) -> None:
    print(line, file=NULL)


def printed(line: str) -> None:
    print(line)  # noqa: T201


def quiet(line: str) -> None:
    pass


@contextmanager
def as_processor() -> Iterator[None]:
    """What is printed and logged belongs to a processor, as in a notebook."""
    with captured():
        token = current.set(LogRing())
        try:
            yield
        finally:
            current.reset(token)


def a_line(write: Callable[[str], None]) -> Callable[[], float]:
    """Nanoseconds for one line."""

    def side() -> float:
        with as_processor():
            began = time.perf_counter()
            for _ in range(LINES):
                write(WORDS)
            return (time.perf_counter() - began) / LINES * 1e9

    return side


def log_lines() -> tuple[Callable[[str], None], Callable[[str], None]]:
    """A logger whose records go to the ring, and one whose handler writes to a null stream."""
    ours, theirs = logging.getLogger("bench.ours"), logging.getLogger("bench.theirs")
    for logger in (ours, theirs):
        logger.setLevel(logging.INFO)
    theirs.propagate = False
    theirs.addHandler(logging.StreamHandler(NULL))
    return ours.info, theirs.info


def a_pipeline(write: Callable[[str], None]) -> Callable[[], float]:
    """Elements a second of a pipeline whose code writes a line for each."""

    def side() -> float:
        flow = Flow("bench")

        def tell(x: int) -> int:
            write(WORDS)
            return x

        flow.consumer(source=Numbers(ELEMENTS))(tell)
        with captured():
            began = time.perf_counter()
            flow.run(block=True)
            return ELEMENTS / (time.perf_counter() - began)

    return side


def a_neighbour(write: Callable[[str], None]) -> Callable[[], float]:
    """Elements a second of a pipeline beside one that writes 100,000 lines a second."""

    def side() -> float:
        flow = Flow("bench")

        def flood(x: int) -> None:
            write(WORDS)

        def work(x: int) -> int:
            return sum(range(20)) + x

        flow.consumer(source=Numbers(None, RATE))(flood)
        flow.consumer(source=Numbers(None))(work)
        with captured():
            handle = flow.run(block=False)
            ready = threading.Event()
            ready.wait(0.2)
            before = handle.snapshot()
            began = time.perf_counter()
            ready.wait(SECONDS)
            after = handle.snapshot()
            spent = time.perf_counter() - began
            handle.stop(drain=False, timeout=2)
        counts = [s.processor("work").elements_out for s in (before, after)]
        lines = [s.processor("flood").elements_in for s in (before, after)]
        FLOODED.append((lines[1] - lines[0]) / spent)
        return (counts[1] - counts[0]) / spent

    return side


FLOODED: list[float] = []


def main() -> None:
    """Measure and print."""
    real = sys.stdout
    try:
        info, other_info = log_lines()
        sides = {
            "printed to the ring": a_line(printed),
            "printed to a null stream": a_line(to_null),
        }
        lines = interleave(sides, ROUNDS)
        logged = interleave(
            {"logged to the ring": a_line(info), "logged to a null stream": a_line(other_info)},
            ROUNDS,
        )
        floods = interleave(
            {
                "prints to the ring": a_pipeline(printed),
                "prints to a null stream": a_pipeline(to_null),
                "prints nothing": a_pipeline(quiet),
            },
            ROUNDS,
        )
        neighbours = interleave(
            {
                "beside a flood to the ring": a_neighbour(printed),
                "beside the same without a line": a_neighbour(quiet),
                "beside a flood to a null stream": a_neighbour(to_null),
            },
            ROUNDS,
        )
    finally:
        sys.stdout = real
    table("One printed line", lines, "ns", {})
    table("One logged line", logged, "ns", {})
    table("A pipeline with a line for each element", floods, "elements/s", {})
    table("A pipeline beside one that floods", neighbours, "elements/s", {})
    sys.stdout.write(f"  the flood: {sum(FLOODED) / len(FLOODED):,.0f} elements/s\n")


if __name__ == "__main__":
    main()
