"""What bounds a run: `--until`, `--duration`, `--count` and `--timeout`.

They are waited for on a thread of their own, which then drains the run; the main thread is where
signals are heard.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("Bounds",)

DRAIN_S = 30.0  # as after a signal


@dataclass(slots=True)
class Bounds:
    """The first of these that is so ends the run; none of them means that it goes on."""

    drained: bool = False
    duration: float | None = None
    count: int | None = None
    timeout: float | None = None
    _missed: list[TimeoutError] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Those that a line asks for.

        Raises:
            UsageError: there is a timeout, and nothing to wait for.
        """
        made = cls(
            values["until"] == "drained", values["duration"], values["count"], values["timeout"]
        )
        if made.timeout is not None and not made.bounded:
            msg = "run: --timeout needs something to wait for; add --until drained"
            raise UsageError(msg)
        return made

    @property
    def bounded(self) -> bool:
        """Whether something is waited for."""
        return self.drained or self.duration is not None or self.count is not None

    def watch(self, handle: RunHandle) -> None:
        """Drain the run once something of this is so."""
        if self.bounded:
            threading.Thread(
                target=self._wait, args=(handle,), name="buildflow bounds", daemon=True
            ).start()

    def raise_missed(self) -> None:
        """Tell that the time was up first.

        Raises:
            TimeoutError: it was.
        """
        if self._missed:
            raise self._missed[0]

    def _wait(self, handle: RunHandle) -> None:
        try:
            handle.wait_until(
                drained=self.drained,
                duration=self.duration,
                count=self.count,
                timeout=self.timeout,
            )
        except TimeoutError:
            msg = f"run: it did not get there within {self.timeout:g} s, and was stopped"
            self._missed.append(TimeoutError(msg))
        except BuildFlowError:
            pass  # a processor failed, which the run itself tells at its end
        handle.stop(drain=True, timeout=DRAIN_S)
