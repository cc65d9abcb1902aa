"""Consumers that are killed again and again, and at last run to their end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.child import Orders
from tests.faults.feeds import ACK_DEADLINE_S, FEEDS, fill, make_folder_of_files
from tests.faults.ground import Ground
from tests.faults.process import Child
from tests.faults.stores import SINKS, found_in
from tests.faults.tally import Tally

__all__ = ("Kills", "killed", "scenarios")

FIRST_S, LAST_S = 0.05, 1.5  # of a life, after it is up
EVERY_S = 0.02  # between files that come


@dataclass(frozen=True)
class Kills:
    """How hard: elements, kills, and seconds that the code takes for each element."""

    elements: int = 4_000
    kills: int = 5
    slow_s: float = 0.001


def scenarios(rng: random.Random) -> list[tuple[str, str]]:
    """Every source once, with every sink in turn."""
    sinks = rng.sample(SINKS, len(SINKS))
    return [(feed, sinks[i % len(sinks)]) for i, feed in enumerate(FEEDS)]


def killed(feed: str, sink: str, ground: Ground, kills: Kills) -> Tally:
    """One source and one sink; what is in the sink at the end is counted."""
    name = f"{feed} to {sink}, killed"
    folder = ground.folder(f"kill-{feed}")
    numbers = range(kills.elements)
    fill(feed, folder, numbers, ground.endpoints)
    orders = Orders(str(folder), feed, sink, kills.slow_s, endpoints=dict(ground.endpoints))
    with _coming(feed, folder, numbers):
        done = _lives(orders, ground.rng, kills)
    if feed == "pubsub":  # which cannot tell what the killed ones had leased
        time.sleep(ACK_DEADLINE_S + 1)
    with Child(replace(orders, slow_s=0.0)) as last:
        code, said = last.to_its_end()
    found = found_in(sink, folder)
    wrong = "" if code == 0 else f"the last run ended with {code}: {said.strip()[-200:]}"
    allowed = 0 if sink == "keyed" else None
    return Tally.of(name, done, numbers, found, allowed=allowed, wrong=wrong)


def _lives(orders: Orders, rng: random.Random, kills: Kills) -> int:
    """Start and kill; how often."""
    for done in range(kills.kills):
        with Child(orders) as child:
            child.wait_up()
            time.sleep(rng.uniform(FIRST_S, LAST_S))
            if child.ended:
                return done
            child.kill()
    return kills.kills


@contextmanager
def _coming(feed: str, folder: Path, numbers: Sequence[int]) -> Iterator[None]:
    """Files that come all the while, also while nobody is there to see them."""
    if feed != "files":
        yield
        return
    begun = threading.Event()

    def come() -> None:
        begun.set()
        for start in range(0, len(numbers), 5):
            make_folder_of_files(folder, numbers[start : start + 5])
            time.sleep(EVERY_S)

    # The first watch of all has to be there: what is older than it is not its to tell.
    with Child(Orders(str(folder), feed, "jsonl", timeout_s=5.0)) as first:
        first.wait_up()
        first.to_its_end()
    (folder / "out.jsonl").unlink(missing_ok=True)
    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    begun.wait()
    yield
    thread.join()
