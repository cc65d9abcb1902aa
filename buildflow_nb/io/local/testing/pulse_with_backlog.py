"""A pulse that claims a backlog, for trying autoscaling and dashboards out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Env, PrimitiveId, Source, Wire, label_of
from buildflow_nb.io.local.pulse import CycleSource, checked_items, fingerprint

__all__ = ("PulseWithBacklog",)


@dataclass(frozen=True, slots=True)
class PulseWithBacklog:
    """Hands out `items` as `Pulse` does and always reports `backlog_size` elements waiting."""

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # it has one cursor

    items: Iterable[Any]
    pulse_interval_seconds: float
    backlog_size: int

    def __post_init__(self) -> None:
        items = checked_items("PulseWithBacklog", self.items, self.pulse_interval_seconds)
        object.__setattr__(self, "items", items)

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

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Nothing can be wrong with it."""
        return [Finding(label_of(self), Health.OK, "is part of this process")]
