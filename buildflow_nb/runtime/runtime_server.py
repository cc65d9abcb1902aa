"""The runtime server of a run, as data: where it listens, and who may use it.

aiohttp is loaded by what serves it (`http/control.py`), and only when a run asks for one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError

__all__ = ("TOKEN_VARIABLE", "RuntimeServerPlan", "is_loopback")

TOKEN_VARIABLE = "BUILDFLOW_RUNTIME_TOKEN"  # noqa: S105  (the name of it)


@dataclass(frozen=True, slots=True)
class RuntimeServerPlan:
    """`flowstate` gives what the flow declares at this moment, as plain data.

    Raises:
        UsageError: others than this machine could reach it, and there is no token; the token is
            empty; or no port.
    """

    flowstate: Callable[[], Mapping[str, object]]
    host: str = "127.0.0.1"
    port: int = 9653
    token: Secret | None = None

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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
