"""Asks the policy how many replicas a processor wants, again and again, and has it done.

Whatever has replicas can be scaled: threads of this process, or processes elsewhere. It says what
it sees and brings their number to what is wanted; when, and how many, is decided here.

Guarantees: what cannot be looked at, or not be scaled, is told in the processor's log, once while
it stays the same, and tried again after a minute; it never ends the processor.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from buildflow_nb.core.options import Options
from buildflow_nb.runtime.autoscale.policy import decide, kept_s
from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("Bounds", "Scalable", "Scaler", "scales")

AGAIN_S = 60.0  # after it could not be scaled; a setup that fails may take much
SAID_S = 60.0  # why a step was taken is shown for so long, if there is nothing else to say


@dataclass(frozen=True, slots=True)
class Bounds:
    """What bounds replicas, besides the options.

    `own_pulls` says that each replica pulls for itself, so that more of them help where it is the
    pulls that take the time.
    """

    most: int
    least: int = 0
    own_pulls: bool = True


class Scalable(Protocol):
    """A processor with replicas."""

    @property
    def options(self) -> Options:
        """Of the spec that it runs at this moment."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Those of this moment; one source at most may be read by one process only."""
        ...

    @property
    def wanted(self) -> int:
        """How many it has or brings up."""
        ...

    async def sample(self) -> Sample | None:
        """What has happened since it was asked last; None where nothing can be told for now."""
        ...

    async def scale(self, replicas: int) -> None:
        """Have so many from now on; may return before they are up.

        Raises:
            Exception: why it cannot.
        """
        ...


def scales(options: Options, *, threads: bool) -> bool:
    """Whether a processor scales, by its options: if they do not say so, where order is not kept.

    Threads do so only if they are told to: one thread keeps the order of elements, and its code
    need not be safe from other threads.
    """
    wanted = options.enable_autoscaler
    return not threads if wanted is None else wanted


class Scaler:
    """Scales one processor; used on the loop. `log` is the processor's."""

    def __init__(self, of: Scalable, log: LogRing, clock: Clock) -> None:
        self._of = of
        self._log = log
        self._clock = clock
        self._history: deque[Sample] = deque()
        self._why = ""
        self._stepped_at = -math.inf
        self._failed_at = -math.inf
        self._trouble = ""

    @property
    def why(self) -> str:
        """Why there are as many as there are, or what the last step was for; "" if that is dull."""
        return self._why

    async def run(self) -> None:
        """Look every `LOOK_S` seconds, for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Look once, and scale. Never raises what the processor raised."""
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001  (user code that is set up, a cluster)
            self._failed_at = self._clock.now()
            self._why = f"it cannot be scaled: {describe(error)}"
            if self._why != self._trouble:
                self._trouble = self._why
                self._log.add("ERROR", self._why)

    async def _look(self) -> None:
        of, history = self._of, self._history
        sample = await of.sample()
        if sample is None:
            return
        history.append(sample)
        while sample.at_s - history[0].at_s > kept_s(of.options):
            history.popleft()
        now, bounds = of.wanted, of.bounds
        made = decide(
            tuple(history),
            of.options,
            now,
            most=bounds.most,
            least=bounds.least,
            own_pulls=bounds.own_pulls,
        )
        if made.wanted == now:
            if made.why or sample.at_s - max(self._stepped_at, self._failed_at) >= SAID_S:
                self._why = made.why
        elif self._clock.now() - self._failed_at >= AGAIN_S:
            self._stepped_at, self._why = sample.at_s, made.why
            self._log.add("INFO", f"replicas: {made.why}")
            await of.scale(made.wanted)
            self._trouble = ""
