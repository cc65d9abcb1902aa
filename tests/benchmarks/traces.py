"""What traces cost a consumer from memory to memory: one element in a thousand, beside none.

Machines are shared and noisy, and the difference is small: so the two take turns many times, each
in CPU seconds of the whole process, and the median of the ratios counts.
"""

from __future__ import annotations

import gc
import time

from buildflow_nb import Flow, FlowOptions
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.memory import NS, SIZES, Memory, Numbers, double

ROUNDS = 21
RATES = {"traced, 1 in 1,000": 0.001, "not traced": 0.0}


def cpu_ns(batch: int, total: int, rate: float) -> float:
    """CPU nanoseconds an element, from start to end of the run."""
    flow = Flow("traces", FlowOptions(trace_sampling=rate))
    flow.consumer(source=Numbers(total, batch), sink=Memory())(double)
    gc.collect()
    began = time.process_time()
    flow.run(block=False).wait(120)
    return (time.process_time() - began) / total * NS


def main() -> None:
    """Print the figures for several sizes of batch."""
    for batch, total in SIZES:
        sides = {
            name: lambda b=batch, t=total, r=rate: cpu_ns(b, t, r) for name, rate in RATES.items()
        }
        title = f"traces of a consumer from memory to memory, batches of {batch}, CPU an element"
        table(title, interleave(sides, ROUNDS), "ns", {"not traced": "at most 1.03"})


if __name__ == "__main__":
    main()
