"""Queues whose leases are shorter than the work, and elements that break whoever touches them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.faults.child import Orders
from tests.faults.feeds import fill, send
from tests.faults.ground import Ground
from tests.faults.process import Child
from tests.faults.stores import found_in
from tests.faults.tally import Tally

__all__ = ("poisoned", "short_leases")

POISON_EVERY = 7
DEEP = 5_000


def short_leases(sink: str, elements: int, visibility_s: int, ground: Ground) -> Tally:
    """Nobody is killed, so hardly anything may come twice: one in a hundred."""
    folder, endpoints = ground.folder(f"lease-{sink}"), ground.endpoints
    numbers = range(elements)
    send(folder.name, numbers, endpoints, visibility_s=visibility_s)
    with Child(Orders(str(folder), "sqs", sink, endpoints=dict(endpoints))) as child:
        code, said = child.to_its_end()
    wrong = "" if code == 0 else f"ended with {code}: {said.strip()[-200:]}"
    name = f"leases of {visibility_s} s, sqs to {sink}"
    found = found_in(sink, folder)
    return Tally.of(name, 0, numbers, found, allowed=elements // 100, wrong=wrong)


def poisoned(feed: str, elements: int, ground: Ground) -> Tally:
    """Code that raises everything there is, and JSON that is too deep to be decoded."""
    folder, endpoints = ground.folder(f"poison-{feed}"), ground.endpoints
    numbers = range(elements)
    fill(feed, folder, numbers, endpoints)
    deep = _add_deep(folder) if feed == "jsonl" else 0
    orders = Orders(
        str(folder), feed, "jsonl", poison_every=POISON_EVERY, endpoints=dict(endpoints)
    )
    with Child(orders) as child:
        code, said = child.to_its_end()
    dead = [json.loads(line) for line in (folder / "dead.jsonl").read_text().splitlines()]
    kept = [_number(one["element"]) for one in dead if len(one["element"]) < DEEP]
    wrong = "" if code == 0 else f"ended with {code}: {said.strip()[-200:]}"
    if not wrong and len(dead) - len(kept) != deep:
        wrong = f"{len(dead) - len(kept)} of {deep} lines too deep to decode are dead-lettered"
    poison = range(0, elements, POISON_EVERY)
    good = [n for n in found_in("jsonl", folder) if n not in poison]
    return Tally.of(
        f"poison from {feed}", len(poison) + deep, numbers, good, kept=kept, wrong=wrong
    )


def _number(element: str) -> int:
    """The number in a dead letter: of a queue's message its text, of a line its value."""
    value = json.loads(element)
    return int((json.loads(value) if isinstance(value, str) else value)["n"])


def _add_deep(folder: Path) -> int:
    path = folder / "in.jsonl"
    lines = path.read_text().splitlines()
    poison = '{"n": 1, "x": ' + "[" * DEEP + "]" * DEEP + "}"
    places = random.Random(0).sample(range(len(lines)), 3)
    for at in sorted(places, reverse=True):
        lines.insert(at, poison)
    path.write_text("\n".join(lines) + "\n")
    return len(places)
