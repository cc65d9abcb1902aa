"""How a server is set up."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.core.errors import UsageError

__all__ = ("PubSubOptions", "is_loopback")

MEBIBYTE = 1 << 20


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class PubSubOptions:
    """Where a server listens and keeps its state, and what it may hold and reach.

    `state` is the folder of the state file; without one nothing outlives the server.
    `backlog_bytes` bounds the unacknowledged messages of one subscription, `history_bytes` what
    one topic retains for seeking. `push_hosts` are hosts beyond this machine to which push
    subscriptions may post.

    Raises:
        UsageError: `host` is not an address of this machine alone.
    """

    host: str = "127.0.0.1"
    state: Path | None = None
    backlog_bytes: int = 512 * MEBIBYTE
    history_bytes: int = 256 * MEBIBYTE
    push_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            msg = f"host {self.host!r} can be reached from other machines; use 127.0.0.1"
            raise UsageError(msg)
