"""Rules that scale: ours, and beside it BuildFlow 0.3's and Ray Serve's, from their documents.

Each is asked every `LOOK_S` seconds with all that was seen so far.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from buildflow_nb.core.options import ConsumerOptions
from buildflow_nb.runtime.autoscale.policy import decide, kept_s
from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample


class Rule(Protocol):
    """How many replicas shall there be?"""

    said: list[str]

    def wanted(self, sample: Sample, now_wanted: int, cpu: float) -> int:
        """After one more look; `cpu` is the percentage of a core that a replica uses."""
        ...


class Ours:
    """The policy."""

    def __init__(self, options: ConsumerOptions, most: int) -> None:
        self.said: list[str] = []
        self._options = options
        self._most = most
        self._history: deque[Sample] = deque(maxlen=int(kept_s(options) / LOOK_S))

    def wanted(self, sample: Sample, now_wanted: int, cpu: float) -> int:
        self._history.append(sample)
        made = decide(list(self._history), self._options, now_wanted, most=self._most)
        if made.why:
            self.said.append(made.why)
        return made.wanted


def buildflow_wanted(  # noqa: PLR0913
    n: int, t: float, b: int, *, cpu: float, pulls: float, grew: tuple[int, float] | None = None
) -> int:
    """BuildFlow 0.3: replicas, elements a second, backlog, CPU in percent, pulls a second.

    `grew` is by how much the backlog grew, and in how many seconds.
    """
    burn, target = 60, 25
    if t > 0 and b / t > burn:
        return math.ceil((b / burn) / (t / n))
    if grew is not None and grew[0] > 0:
        if cpu > target:
            return math.ceil((t + grew[0] / grew[1]) / (t / n))
        return n
    if pulls == 0:
        return n + 1
    if 0 < cpu < target:
        return max(math.floor(n / (target / cpu)), 1)
    return n


class BuildFlows:
    """BuildFlow 0.3: once a minute."""

    def __init__(self, options: ConsumerOptions, most: int) -> None:
        self.said: list[str] = []
        self._every_s = options.autoscale_frequency_secs
        self._bounds = max(options.min_replicas, 1), min(options.max_replicas, most)
        self._minute: deque[Sample] = deque(maxlen=int(60 / LOOK_S))
        self._last: Sample | None = None

    def wanted(self, sample: Sample, now_wanted: int, cpu: float) -> int:
        self._minute.append(sample)
        if self._last is None:
            self._last = sample
        if sample.at_s - self._last.at_s < self._every_s:
            return now_wanted
        before, self._last = self._last, sample
        t = sum(one.out_per_s for one in self._minute) / len(self._minute)
        b = sample.backlog or 0
        grew = (b - (before.backlog or 0), sample.at_s - before.at_s)
        if grew[0] > 0 and not t and cpu > 25:
            return now_wanted  # there it divides by zero, and the round is lost
        n = max(sample.replicas, 1)
        wanted = buildflow_wanted(n, t, b, cpu=cpu, pulls=t, grew=grew)
        return min(max(wanted, self._bounds[0]), self._bounds[1])


class Serves:
    """Ray Serve: elements under way or waiting, two a replica; up after 30 s, down after 600 s."""

    def __init__(self, options: ConsumerOptions, most: int) -> None:
        self.said: list[str] = []
        self._bounds = max(options.min_replicas, 1), min(options.max_replicas, most)
        self._recent: deque[float] = deque(maxlen=int(30 / LOOK_S))
        self._up = self._down = 0.0

    def wanted(self, sample: Sample, now_wanted: int, cpu: float) -> int:
        self._recent.append((sample.backlog or 0) + sample.replicas * sample.busy)
        ongoing = sum(self._recent) / len(self._recent)
        low, high = self._bounds
        desired = min(max(math.ceil(ongoing / 2), low), high)
        self._up = self._up + LOOK_S if desired > now_wanted else 0.0
        self._down = self._down + LOOK_S if desired < now_wanted else 0.0
        if self._up >= 30 or self._down >= 600:
            self._up = self._down = 0.0
            return desired
        return now_wanted


def changes(wanted: Sequence[int]) -> int:
    """How often a number changed."""
    return sum(a != b for a, b in pairwise(wanted))
