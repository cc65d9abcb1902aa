"""A disk that is full for a while: a push waits, and goes on when there is room.

What a sink may write is bounded by `RLIMIT_FSIZE` of the child, which needs no rights; a file
system of its own (`tmpfs`) would need root. The child is then run again without the bound.
"""

from __future__ import annotations

import time
from dataclasses import replace

from tests.faults.child import Orders
from tests.faults.feeds import fill
from tests.faults.ground import Ground
from tests.faults.process import Child
from tests.faults.stores import found_in
from tests.faults.tally import Tally

__all__ = ("full",)

MOST_BYTES = {"duckdb": 300 << 10, "keyed": 300 << 10}  # a new DuckDB file has 268 KiB
SMALL_BYTES = 8 << 10
FULL_S = 2.0


def full(sink: str, elements: int, ground: Ground) -> Tally:
    """A file that is read with its position kept, into a sink that cannot grow, then can."""
    folder = ground.folder(f"full-{sink}")
    numbers = range(elements)
    fill("jsonl", folder, numbers, {})
    most = MOST_BYTES.get(sink, SMALL_BYTES) + ground.rng.randrange(1_000)
    orders = Orders(str(folder), "jsonl", sink, most_bytes=most)
    with Child(orders) as child:
        child.wait_up()
        time.sleep(FULL_S)
        waits = not child.ended
        child.kill()
    with Child(replace(orders, most_bytes=0)) as last:
        code, said = last.to_its_end()
    wrong = "" if waits else "it ended although its sink was full"
    wrong = wrong if code == 0 else f"ended with {code}: {said.strip()[-200:]}"
    return Tally.of(f"full disk under {sink}", 1, numbers, found_in(sink, folder), wrong=wrong)
