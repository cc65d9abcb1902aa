"""Five hundred replicas for a minute: looked at within bounds, and shown as what they are."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace

import pytest

from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.replicas import engine
from buildflow_nb.runtime.replicas.engine import LOOKS_PER_S

from .fleet import Fleet
from .hurry import LoopClock, hurried

SIZE = 500
MINUTE_S = 60.0
NEXT_LOOK_S = SIZE / LOOKS_PER_S + 1.0  # of each replica, after its last one


@pytest.mark.parametrize("groups", [1, 50], ids=["one group", "fifty groups"])
def test_a_minute_of_many_replicas(groups, monkeypatch):
    async def minute() -> tuple[Fleet, float, float]:
        fleet = Fleet(groups, SIZE // groups, LoopClock(), per_look=1)
        await fleet.open()
        await fleet.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(MINUTE_S / 2)
        lost = fleet.host.alive[7]
        lost.gone = True  # as a process that ends; another one comes in its place
        await asyncio.sleep(MINUTE_S / 2)
        ended = loop.time()
        assert lost not in [member.hosted for member in fleet.members]
        assert len(fleet.members) == SIZE
        told = sum(sum(one.taken.values()) for one in fleet.host.hosted)
        shots = [unit.snapshot() for unit in fleet.units]
        assert sum(shot.elements_in for shot in shots) == told
        assert {shot.state for shot in shots} == {State.RUNNING}
        assert [(shot.replicas, shot.wanted) for shot in shots] == [(SIZE // groups,) * 2] * groups
        assert sum(shot.in_per_s for shot in shots) == pytest.approx(60.0 * SIZE)
        await fleet.close()
        return fleet, began, ended

    fleet, began, ended = hurried(minute(), monkeypatch)
    times = [[at for at in one.looked if began < at <= ended] for one in fleet.host.hosted]
    looks = sorted(at for each in times for at in each)
    assert 0.8 * LOOKS_PER_S <= len(looks) / (ended - began) <= 1.05 * LOOKS_PER_S
    for each in times[:7] + times[8:SIZE]:
        ends = [began, *each, ended]
        assert max(b - a for a, b in pairwise(ends)) <= NEXT_LOOK_S


def test_a_start_asks_each_processor_once_what_it_needs(monkeypatch):
    asked = []
    place = engine.place

    def counted(spec, *env, **words):
        asked.append(spec)
        return place(spec, *env, **words)

    monkeypatch.setattr(engine, "place", counted)

    async def start() -> None:
        fleet = Fleet(40, 1, LoopClock())
        await fleet.open()
        await fleet.start()
        await fleet.close()

    hurried(start(), monkeypatch)
    assert len(asked) == 40


def test_a_front_of_many_routes_is_looked_at_less_often():
    made = engine.Replicated(Fleet(1, 1, LoopClock()).plan, lambda _: None, LoopClock())
    for routes, pause_s in ((1, 0.5), (100, 0.71875), (1_000, 6.34375)):
        fronts = SimpleNamespace(members=[None] * 10, held=range(routes))
        made._groups = {"fronts": fronts}
        assert made.pause_s == pause_s
