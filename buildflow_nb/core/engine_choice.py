"""Which engine runs a flow, and where that is: this process, or replicas on Ray.

What is said for one run comes before the flow's options, and these before the stack's; an address
alone never chooses an engine. `RAY_ADDRESS` is Ray's own variable, heard where nothing else names
an address; without any, a Ray of the run's own is started on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import nearest

__all__ = ("ADDRESS_VARIABLE", "ENGINES", "PROCESS", "RAY", "EngineChoice", "chosen_engine")

PROCESS = "process"
RAY = "ray"
ENGINES = (PROCESS, RAY)
ADDRESS_VARIABLE = "RAY_ADDRESS"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine by its name; `address` is that of a cluster, `None` for none."""

    name: str = PROCESS
    address: str | None = None

    @property
    def said(self) -> str:
        """What is waited for when a run begins; "" if that is nothing."""
        if self.name != RAY or "://" in (self.address or ""):  # jobs go there, and no replicas
            return ""
        if self.address:
            return f"replicas are started on the Ray cluster at {self.address}, which takes seconds"
        return "Ray is started on this machine, which takes up to half a minute"


def chosen_engine(
    choices: list[tuple[str | None, str | None]], environ: Mapping[str, str]
) -> EngineChoice:
    """The first engine that somebody names, with the first address; `choices` come in order.

    Raises:
        UsageError: there is no such engine, or an address is given for one that has none.
    """
    name = next((name for name, _ in choices if name), PROCESS)
    if name not in ENGINES:
        msg = f"engine must be {' or '.join(ENGINES)}, got {name!r}{nearest(name, ENGINES)}"
        raise UsageError(msg)
    address = next((address for _, address in choices if address), None)
    if name != RAY:
        said = choices[0][1]
        if said:
            msg = f"address {said!r} is a Ray cluster's; choose engine {RAY!r}, too"
            raise UsageError(msg)
        return EngineChoice(name)
    return EngineChoice(name, address or environ.get(ADDRESS_VARIABLE) or None)
