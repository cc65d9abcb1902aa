"""A queue, replicas that take time to start, and a rule that scales them; second by second.

What the rule sees is what a meter sees: shares and rates of the last five seconds. Arrivals are
random around a trace, with a seed, so that every run of a test is the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample
from tests.autoscale.rules import Rule, changes

START_S = 3  # until a replica that was asked for works

Trace = Callable[[int], float]
"""Elements that arrive a second, by second."""


@dataclass(frozen=True)
class Load:
    """What happens to a consumer.

    `each` is what one replica can do a second, `limit` what all of them together can. The sink is
    away in `outage` (seconds, from and up to); `poison` is the share of elements that fail, which
    are tried three times. `cpu` is the percentage of a core that a busy replica uses.
    """

    name: str
    arrivals: Trace
    seconds: int = 1800
    each: float = 10.0
    limit: float = math.inf
    outage: tuple[int, int] = (0, 0)
    poison: float = 0.0
    cpu: float = 60.0
    backlog: int = 0
    start: int = 1
    tells: bool = True
    seed: int = 1


@dataclass
class Course:
    """What became of it, second by second."""

    load: Load
    wanted: list[int] = field(default_factory=list)
    replicas: list[int] = field(default_factory=list)
    backlog: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def replica_seconds(self) -> int:
        return sum(self.replicas)

    @property
    def changes(self) -> int:
        return changes(self.wanted)

    def needed(self, second: int) -> int:
        """Replicas that the arrivals of that time need, of which each has no time to spare."""
        return math.ceil(self.load.arrivals(second) / self.load.each)

    @property
    def overshoot(self) -> float:
        """The most replicas that there were, to the most that were needed."""
        peak = max(1, *map(self.needed, range(self.load.seconds)))
        return max(self.replicas) / peak

    def late_s(self, burn_s: int = 60) -> int:
        """Seconds in which the backlog would take the needed replicas longer than it may."""
        return sum(
            backlog > burn_s * self.load.each * max(self.needed(second), 1)
            for second, backlog in enumerate(self.backlog)
        )

    def caught_up(self, after: int) -> int | None:
        """Seconds from then until no more than three seconds' work waits."""
        for second in range(after, self.load.seconds):
            if self.backlog[second] <= 3 * max(self.load.arrivals(second), self.load.each):
                return second - after
        return None


class _Queue:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._random = random.Random(load.seed)  # noqa: S311  (a model, no secret)
        self._part = 0.0
        self.backlog = load.backlog
        self.done = 0.0
        self.busy = self.push = self.good = self.faults = self.time = 0.0

    def second(self, now: int, replicas: int) -> None:
        """Let one second pass."""
        load = self._load
        self.backlog += self._arrived(load.arrivals(now))
        self.time += replicas
        if self.sink_waits(now):
            self.push += replicas
            return
        tries = 1 + 2 * load.poison
        can = min(replicas * load.each / tries, load.limit)
        self._part += min(self.backlog - self._part, can)
        done = int(self._part)
        self._part -= done
        self.backlog -= done
        self.done += done
        used = 1.0 if load.limit < replicas * load.each and done >= int(can) else 0.0
        self.busy += replicas * used if used else min(done * tries / load.each, replicas)
        self.good += done * (1 - load.poison)
        self.faults += 3 * done * load.poison

    def sink_waits(self, now: int) -> bool:
        return self._load.outage[0] <= now < self._load.outage[1]

    def look(self, now: int, replicas: int) -> Sample:
        time = max(self.time, 1e-9)
        tries = self.good + self.faults
        made = Sample(
            at_s=float(now),
            replicas=replicas,
            backlog=self.backlog if self._load.tells else None,
            out_per_s=self.done / LOOK_S,
            busy=min(self.busy / time, 1.0),
            push=min(self.push / time, 1.0),
            sink_waits=self.sink_waits(now),
            faults=self.faults / tries if tries else 0.0,
        )
        self.done = self.busy = self.push = self.good = self.faults = self.time = 0.0
        return made

    def _arrived(self, mean: float) -> int:
        """As many as arrive by chance (Poisson)."""
        if mean > 50:
            return max(round(self._random.gauss(mean, math.sqrt(mean))), 0)
        floor, count, product = math.exp(-mean), 0, self._random.random()
        while product > floor:
            product *= self._random.random()
            count += 1
        return count


def run(load: Load, rule: Rule) -> Course:
    """Let a rule scale a load from beginning to end."""
    course, queue = Course(load), _Queue(load)
    wanted = at_work = load.start
    starting: list[int] = []  # when each will work
    for now in range(load.seconds):
        at_work += sum(when <= now for when in starting)
        starting = [when for when in starting if when > now]
        queue.second(now, at_work)
        if now and now % int(LOOK_S) == 0:
            sample = queue.look(now, at_work)
            wanted = rule.wanted(sample, wanted, load.cpu * sample.busy)
            starting = starting[: max(wanted - at_work, 0)]
            at_work = min(at_work, wanted)
            starting += [now + START_S] * (wanted - at_work - len(starting))
        course.wanted.append(wanted)
        course.replicas.append(at_work + len(starting))
        course.backlog.append(queue.backlog)
    course.said = rule.said
    return course


def steps(*levels: tuple[int, float]) -> Trace:
    """So many elements a second, each level from its second on."""

    def trace(now: int) -> float:
        return [rate for begin, rate in levels if begin <= now][-1]

    return trace


def ramp(begin: int, end: int, low: float, high: float) -> Trace:
    """From one rate to another."""
    return lambda now: low + (high - low) * min(max((now - begin) / (end - begin), 0.0), 1.0)


def sawtooth(period: int, low: float, high: float) -> Trace:
    """Up slowly, down at once, again and again."""
    return lambda now: low + (high - low) * (now % period) / period


def bursty(seed: int, mean: float) -> Trace:
    """As recorded from people: quiet for long, then much for a few seconds or minutes."""
    chance = random.Random(seed)  # noqa: S311
    levels: list[float] = []
    while len(levels) < 7200:
        quiet, much = chance.expovariate(1 / 60), chance.paretovariate(1.5) * 8
        levels += [mean / 3] * int(1 + quiet)
        levels += [mean * chance.uniform(1, 4)] * int(1 + min(much, 120))
    return lambda now: levels[now]


LOADS = (
    Load("steady, 80 % of a replica", lambda _: 8.0),
    Load("steady, 3.1 replicas", lambda _: 31.0, start=4),
    Load("step from 1 to 6 replicas", steps((0, 8), (300, 55)), 2400),
    Load("the same, waiting code at 5 % CPU", steps((0, 8), (300, 55)), 2400, cpu=5),
    Load("ramp from 1 to 12 replicas", ramp(300, 1200, 8, 110), 2400),
    Load("spike, 20 s at 40 replicas", steps((0, 8), (300, 400), (320, 8)), 2400),
    Load("a backlog of an hour", lambda _: 5.0, 2400, backlog=36_000),
    Load("sawtooth of 200 s, 1 to 8 replicas", sawtooth(200, 5, 75), 3600),
    Load("sink away for 5 min", lambda _: 25.0, 2400, start=4, outage=(600, 900)),
    Load("poison: all fail", steps((0, 8), (300, 40)), 1800, poison=1.0),
    Load("limit elsewhere, of 2 replicas", steps((0, 8), (300, 55)), 3600, limit=20.0),
    Load("idle, then 1 replica, then idle", steps((0, 0), (900, 6), (1500, 0)), 3600),
    Load("bursts", bursty(7, 20.0), 3600),
)
