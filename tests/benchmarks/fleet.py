"""What a run of many replicas costs the process that looks at them, and where that ends.

`python -m tests.benchmarks.fleet [SECONDS]`. Actors on a Ray of this machine, 1, 4 and 16 of them:
CPU time of this process (where a kernel or a script is) and of the driver for each look, and
memory of both for each actor. Then replicas that are answered for from memory, in this process, up
to 500 of them and 1,000 processors: CPU time and bytes for each look, what a start costs, a
snapshot, and an update of the panel. From both a model is fitted, and told for a large fleet.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psutil

from buildflow_nb import Flow
from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.ray.actors import BEAT_S, beat_every_s
from buildflow_nb.runtime.replicas import engine
from buildflow_nb.runtime.replicas.engine import LOOK_EVERY_S, LOOKS_PER_S
from tests.benchmarks.replicas import Endless, Nowhere
from tests.replicas.fleet import Fleet

ACTORS = (1, 4, 16)
FLEETS = ((1, 1), (4, 1), (16, 1), (100, 1), (500, 1), (1, 100), (1, 500))
SHOWN = (10, 100, 1_000)
SELDOM_S = 4.0
PROCESSORS, REPLICAS = 1_000, 500
MIB = 2**20
MS = 1e3
out = sys.stdout.write


@dataclass(frozen=True)
class Side:
    """One process of a run: CPU seconds a second, and bytes that it holds."""

    cpu: float
    held: int


def slow(x: int) -> int:
    time.sleep(0.01)
    return x


def looks_per_s(count: int) -> float:
    """How often so many replicas are looked at together."""
    return count / max(LOOK_EVERY_S, count / LOOKS_PER_S)


def line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Where a straight line through points begins, and how steep it is."""
    steep, begins = statistics.linear_regression(xs, ys)
    return begins, steep


# -- actors ------------------------------------------------------------------------------------


def on_ray(count: int, seconds: float) -> tuple[Side, Side, float]:
    """This process and the driver while so many actors work; and bytes of one actor."""
    app = Flow(flow_id=f"fleet-{count}")
    words = {"num_replicas": count, "num_cpus": 0.1, "enable_autoscaler": False}
    app.consumer(source=Endless(10), sink=Nowhere(), **words)(slow)
    run = app.run(engine="ray", block=False)
    try:
        while (shot := run.snapshot().processor("slow")) is None or shot.replicas < count:
            time.sleep(0.2)
        time.sleep(2.0)
        host = run._supervisor._engine.host  # type: ignore[attr-defined]
        sides = [psutil.Process(), psutil.Process(host.pid)]
        group = run._supervisor._engine._groups["slow"]  # type: ignore[attr-defined]
        actors = [psutil.Process(one.hosted.pid) for one in group.members]
        before = [_cpu_s(side) for side in sides]
        began = time.perf_counter()
        time.sleep(seconds)
        took = time.perf_counter() - began
        found = [
            Side((_cpu_s(side) - spent) / took, side.memory_info().rss)
            for side, spent in zip(sides, before, strict=True)
        ]
        return found[0], found[1], statistics.median(one.memory_info().rss for one in actors)
    finally:
        run.stop(drain=False)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# -- replicas in memory ------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What one fleet cost: seconds of CPU, bytes."""

    opened: float
    started: float
    look: float
    answer: float
    asked: float
    shot: float
    held: float


async def in_memory(processors: int, replicas: int, seconds: float) -> tuple[Told, FlowSnapshot]:
    gc.collect()
    held = psutil.Process().memory_info().rss
    fleet = Fleet(processors, replicas, SYSTEM)
    opened = await _cost(fleet.open())
    started = await _cost(fleet.start()) - fleet.host.own_s
    await asyncio.sleep(1.0)
    held = psutil.Process().memory_info().rss - held
    host = fleet.host
    calls, own, sent, got = host.calls, host.own_s, host.bytes_sent, host.bytes_received
    spent = await _cost(asyncio.sleep(max(seconds, 2 * fleet.engine.pause_s)))  # two rounds
    calls, own = host.calls - calls, host.own_s - own
    began = time.process_time()
    shots = tuple(unit.snapshot() for unit in fleet.units)
    shot = time.process_time() - began
    await fleet.close()
    told = Told(
        opened,
        started,
        (spent - own) / calls,
        (host.bytes_received - got) / calls,
        (host.bytes_sent - sent) / calls,
        shot,
        held / fleet.size,
    )
    now = time.time()
    return told, FlowSnapshot("fleet", "local", State.RUNNING, now, now, None, shots)


async def _cost(work: object) -> float:
    began = time.process_time()
    await work  # type: ignore[misc]
    return time.process_time() - began


# -- what is shown -----------------------------------------------------------------------------


def panel_of(count: int, shot: FlowSnapshot) -> tuple[float, float, float, int]:
    """CPU seconds of a first picture and of the next, bytes of a row and of the picture."""
    app = Flow(flow_id="fleet")
    for i in range(count):
        app.consumer(source=Endless(10), sink=Nowhere())(_named(f"p{i}"))
    panel = Panel(Cockpit(lambda: app, _none), "cell [1]", _none)
    one = shot.processors[0]
    shots = tuple(replace(one, processor_id=f"p{i}") for i in range(count))
    times = []
    for _ in range(3):
        began = time.process_time()
        parts = panel.parts(replace(shot, processors=shots))
        times.append(time.process_time() - began)
    size = sum(len(part.encode()) for part in parts.values())
    return times[0], min(times[1:]), len(pickle.dumps(shots)) / count, size


def _named(name: str) -> Callable[[int], int]:
    def code(x: int) -> int:
        return x

    code.__name__ = code.__qualname__ = name
    return code


def _none() -> None:
    pass


# -- all of it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Actors:
    """What so many actors cost, and how many looks and beats a second that was."""

    count: int
    looks: float
    run: Side
    driver: Side


def actors(seconds: float) -> list[Actors]:
    """Measure them; the last time with few looks, which tells looks from beats."""
    out("actors on a Ray of this machine, 100 elements a second each\n")
    out("  actors  looks/s   run: CPU  run: RSS   driver: CPU  driver: RSS   actor: RSS\n")
    found = []
    for count, every in (*((count, LOOK_EVERY_S) for count in ACTORS), (ACTORS[-1], SELDOM_S)):
        engine.LOOK_EVERY_S = every
        ours, driver, actor = on_ray(count, seconds)
        found.append(Actors(count, count / every, ours, driver))
        out(f"  {count:>6}  {count / every:>7.0f}   {ours.cpu:>8.1%} {ours.held / MIB:>5.0f} MiB")
        out(f"   {driver.cpu:>11.1%}  {driver.held / MIB:>7.0f} MiB   {actor / MIB:>6.0f} MiB\n")
        sys.stdout.flush()
    engine.LOOK_EVERY_S = LOOK_EVERY_S
    return found


def in_memories(seconds: float) -> tuple[dict[tuple[int, int], Told], FlowSnapshot]:
    """Measure fleets of each size."""
    out("\nreplicas answered for from memory, one processor in each\n")
    out("  processors x replicas    open    start      look  answer   asked  snapshot     held\n")
    told = {}
    for size in FLEETS:
        told[size], shot = cost, _ = asyncio.run(in_memory(*size, seconds))
        out(f"  {size[0]:>10} x {size[1]:<8} {cost.opened:>6.2f} s {cost.started:>6.2f} s")
        out(f" {cost.look * MS:>6.2f} ms  {cost.answer:>4.0f} B  {cost.asked:>4.0f} B")
        out(f" {cost.shot * MS:>6.1f} ms {cost.held / 1024:>5.0f} KiB\n")
        sys.stdout.flush()
    return told, shot


def panels(shot: FlowSnapshot) -> dict[int, tuple[float, float, float, int]]:
    """Measure panels of each size."""
    out("\na panel\n  processors   first picture    next one   snapshot    picture\n")
    found = {}
    for count in SHOWN:
        found[count] = first, following, each, size = panel_of(count, shot)
        out(f"  {count:>10}   {first * MS:>10.0f} ms  {following * MS:>7.1f} ms")
        out(f"  {each * count / 1024:>5.0f} KiB  {size / 1024:>5.0f} KiB\n")
        sys.stdout.flush()
    return found


def main() -> None:
    """Measure, fit, and tell."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    found = actors(seconds)
    told, shot = in_memories(seconds)
    drawn = panels(shot)[SHOWN[-1]]
    even, seldom = found[:-1], found[-1]
    counts = [float(one.count) for one in even]
    run_0, run_look = line([one.looks for one in even], [one.run.cpu for one in even])
    driver_0, driver_actor = line(counts, [one.driver.cpu for one in even])
    # As many actors, so as many beats, and fewer looks.
    driver_look = (even[-1].driver.cpu - seldom.driver.cpu) / (even[-1].looks - seldom.looks)
    driver_beat = (driver_actor - driver_look / LOOK_EVERY_S) * BEAT_S
    _, run_held = line(counts, [float(one.run.held) for one in even])
    _, driver_held = line(counts, [float(one.driver.held) for one in even])
    looks, each = looks_per_s(REPLICAS), PROCESSORS / REPLICAS
    beats = REPLICAS / beat_every_s(REPLICAS)
    run = run_0 + looks * (run_look + (each - 1) * told[1, 500].look)
    driver = driver_0 + looks * driver_look + beats * driver_beat
    most = told[500, 1]
    out(f"\n{PROCESSORS:,} processors, {REPLICAS} actors, by the lines through these figures\n")
    for name, text in (
        ("looks", f"{looks:.0f} a second, each actor every {REPLICAS / looks:.1f} s"),
        ("run", f"{run_0:.1%} of a core + {run_look * MS:.2f} ms a look = {run:.0%}"),
        ("", f"{run_held / 1024:.0f} KiB an actor = {run_held * REPLICAS / MIB:.0f} MiB"),
        (
            "driver",
            f"{driver_0:.1%} + {driver_look * MS:.2f} ms a look, {driver_beat * MS:.2f} ms",
        ),
        ("", f"a beat, {beats:.0f} beats a second = {driver:.0%}"),
        ("", f"{driver_held / 1024:.0f} KiB an actor = {driver_held * REPLICAS / MIB:.0f} MiB"),
        ("bytes", f"{looks * told[1, 500].answer * each / 1024:.0f} KiB/s to the run"),
        ("begin", f"{most.opened / 500 * MS:.0f} ms of CPU a processor"),
        ("", f"= {most.opened / 500 * PROCESSORS:.0f} s"),
        ("snapshot", f"{most.shot / 500 * PROCESSORS * MS:.0f} ms"),
        ("panel", f"{drawn[1] * MS:.0f} ms and {drawn[3] / MIB:.1f} MiB an update"),
    ):
        out(f"  {name:<10} {text}\n")


if __name__ == "__main__":
    main()
