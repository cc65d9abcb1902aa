"""A flow is looked at before it runs; what looks is loaded for it (`checkup.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildflow_nb.core.options import FlowOptions
from buildflow_nb.flow.running import Running

if TYPE_CHECKING:
    from buildflow_nb.core.findings import Finding

__all__ = ("Checking",)


class Checking(Running):
    """A flow that can be looked at before it runs."""

    options: FlowOptions

    def check(
        self,
        ids: Sequence[str] | None = None,
        *,
        timeout: float = 5.0,
        host: str = "127.0.0.1",
        port: int = 8000,
        start: bool = False,
    ) -> list[Finding]:
        """How everything is that the flow, or some of its processors, would use when it runs.

        With `start` the local cloud is started first, as the run that follows would.

        Raises:
            UsageError: there is no such processor.
            InfraError: the local cloud was to be started, and cannot be.
        """
        from buildflow_nb.flow.checkup import Checkup

        specs = [self.processor(one) for one in ids] if ids else list(self.processors.values())
        return Checkup(self, self.options).findings(specs, timeout, host, port, start=start)
