"""A pulse that claims a backlog, for trying autoscaling and dashboards out."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from buildflow_nb.core.primitive import Env, PrimitiveId, Source
from buildflow_nb.io.local.pulse import CycleSource, Pulse, fingerprint

__all__ = ("PulseWithBacklog",)


@dataclass(frozen=True, slots=True)
class PulseWithBacklog(Pulse):
    """Hands out `items` as `Pulse` does and always reports `backlog_size` elements waiting."""

    backlog_size: int

    @property
    def primitive_id(self) -> PrimitiveId:
        """The same for equal items, intervals and backlogs."""
        rest = (self.pulse_interval_seconds, self.backlog_size)
        return PrimitiveId(f"pulse-with-backlog-{fingerprint(self.items, *rest)}")

    @property
    def label(self) -> str:
        """How often it beats, and the backlog it claims."""
        return f"every {self.pulse_interval_seconds:g} s, backlog {self.backlog_size}"

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:  # noqa: ARG002
        """Open a source that starts with the first item."""
        return CycleSource(self.items, self.pulse_interval_seconds, self.backlog_size)
