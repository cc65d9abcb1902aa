"""What a run is told besides its processors, as data; and its runtime server, likewise.

Flows make these without loading what runs them: aiohttp is loaded when a run serves something.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.declaring.hooks import Hooks
from buildflow_nb.core.engine_choice import EngineChoice
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.thresholds import Thresholds
from buildflow_nb.runtime.observability.history_keeper import HistoryPlace

__all__ = ("TOKEN_VARIABLE", "RunPlan", "RuntimeServerPlan", "is_loopback")

TOKEN_VARIABLE = "BUILDFLOW_RUNTIME_TOKEN"  # noqa: S105  (the name of it)


@dataclass(frozen=True, slots=True)
class RuntimeServerPlan:
    """Where a runtime server listens, and who may use it.

    `flowstate` gives what the flow declares at this moment, as plain data.

    Raises:
        UsageError: others than this machine could reach it, and there is no token; the token is
            empty; or no port.
    """

    flowstate: Callable[[], Mapping[str, object]]
    host: str = "127.0.0.1"
    port: int = 9653
    token: Secret | None = None
    thresholds: Thresholds | None = None
    """From where on the run is not well."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:  # noqa: PLR2004  (the range of TCP ports)
            msg = f"runtime_server_port must be from 0 (any free one) to 65535, got {self.port}"
            raise UsageError(msg)
        if self.token is not None and not self.token.reveal().strip():
            msg = f"the runtime server's token is empty; set a longer one in {TOKEN_VARIABLE}"
            raise UsageError(msg)
        if self.token is None and not is_loopback(self.host):
            msg = (
                f"the runtime server on {self.host} could be used by others, who could stop the "
                f"run; set a token in {TOKEN_VARIABLE}, or leave it on 127.0.0.1"
            )
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run needs to know besides the processors."""

    flow_id: str
    env: Env
    host: str = "127.0.0.1"
    port: int = 8000
    runtime_server: RuntimeServerPlan | None = None
    run_id: str = ""
    read_before: Mapping[str, object] = field(default_factory=dict)
    """What earlier runs have read to its end, by processor."""
    body_bytes: int | None = None
    """What all requests may hold together; the server's own bound where it is None."""
    hooks: Callable[[], Hooks] = dict
    """The flow's code that is no processor's, as it is at this moment."""
    port_is_shared: bool = False
    """Whether other processes of this run may listen on the port, too, each once it is ready to."""
    engine: EngineChoice = field(default_factory=EngineChoice)
    """Where processors work."""
    telemetry: bool | None = None
    """Whether metrics and traces are sent to a collector; None does as the environment says."""
    history: HistoryPlace | None = None
    """Where the histories of processors are kept; in memory only where it is None."""
    trace_sampling: float = 0.0
    """The share of elements that is traced beyond the last and the failed ones; 0 for none."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
